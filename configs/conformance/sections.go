package conformance

// Section is a part of the table of rules.
type Section struct {
	Name string
	Rows []Row
}

// Row is one rule. Its name is what cases say that they belong to.
type Row struct {
	Name     string
	OnlyOne  bool // HTTP/2 has nothing like it
	OnlyTwo  bool // HTTP/1.1 has nothing like it
	OnlyBack bool // it is about backends: what the client speaks makes no difference
}

// Sections returns the whole table, in its order.
func Sections() []Section {
	return []Section{
		{"requests", requestRows()},
		{"path", []Row{
			{Name: "one canonical form"}, {Name: "the query goes through byte for byte"},
		}},
		{"headers", []Row{
			{Name: "what an untrusted peer says"},
			{Name: "what a trusted peer says"},
			{Name: "hop-by-hop"},
			{Name: "what the gateway sets"},
			{Name: "Host of the backend"},
			{Name: "interim responses"},
		}},
		{"upgrade", []Row{
			{Name: "websocket", OnlyOne: true}, {Name: "h2c is stripped", OnlyOne: true}, {Name: "unasked 101", OnlyBack: true},
		}},
		{"early answers", []Row{{Name: "refused before the body"}, {Name: "answered before the body"}}},
		{"responses", []Row{
			{Name: "malformed responses", OnlyBack: true}, {Name: "no body"}, {Name: "close-delimited body"}, {Name: "truncated body"},
		}},
		{"connections to backends", []Row{
			{Name: "reuse", OnlyBack: true},
			{Name: "look before reuse", OnlyBack: true},
			{Name: "retry of a connect", OnlyBack: true},
			{Name: "retry on a reused connection", OnlyBack: true},
			{Name: "no retry after a byte", OnlyBack: true},
		}},
		{"limits", []Row{
			{Name: "head time", OnlyOne: true},
			{Name: "body time"},
			{Name: "idle client"},
			{Name: "keep-alive", OnlyOne: true},
			{Name: "requests of a connection", OnlyOne: true},
			{Name: "age of a connection", OnlyOne: true},
			{Name: "idle backend", OnlyBack: true},
			{Name: "idle connections to backends", OnlyBack: true},
			{Name: "time to connect", OnlyBack: true},
			{Name: "time to the first byte"},
			{Name: "time between reads"},
			{Name: "time of a service"},
			{Name: "streams"},
			{Name: "connections of a listener", OnlyOne: true},
			{Name: "HTTP/2 settings", OnlyTwo: true},
		}},
		{"client gone", []Row{{Name: "client gone"}, {Name: "client gone behind pipelined bytes", OnlyOne: true}}},
	}
}

func requestRows() []Row {
	return []Row{
		{Name: "Content-Length"},
		{Name: "Transfer-Encoding", OnlyOne: true},
		{Name: "Transfer-Encoding on HTTP/1.0", OnlyOne: true},
		{Name: "chunk size", OnlyOne: true},
		{Name: "chunk line", OnlyOne: true},
		{Name: "trailers"},
		{Name: "line endings and names"},
		{Name: "control characters in a value"},
		{Name: "header name with underscore"},
		{Name: "request line and head"},
		{Name: "request line", OnlyOne: true},
		{Name: "empty lines before a request", OnlyOne: true},
		{Name: "methods"},
		{Name: "absolute-form"},
		{Name: "target"},
		{Name: "escapes in the path"},
		{Name: "Host"},
		{Name: "Expect"},
		{Name: "body over max_body"},
		{Name: "body shorter than announced"},
		{Name: "pipelined requests", OnlyOne: true},
	}
}
