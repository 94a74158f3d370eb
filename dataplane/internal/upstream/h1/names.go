package h1

// Kind is what a field of a response means to who passes it on.
type Kind uint8

// The kinds.
const (
	Other    Kind = iota // not known here
	EndToEnd             // known to be passed on, unless Connection names it
	HopByHop             // never passed on: framing, and what belongs to the connection
)

// The names that the parser itself looks at, in canonical form.
const (
	contentLength    = "Content-Length"
	transferEncoding = "Transfer-Encoding"
	connection       = "Connection"
	upgrade          = "Upgrade"
)

// known returns the constant for a common name, so that it need not be cut out of the head; "" for others. name is in
// canonical form.
func known(name []byte) (string, Kind) {
	switch string(name) { // allocates nothing
	case contentLength:
		return contentLength, HopByHop
	case transferEncoding:
		return transferEncoding, HopByHop
	case connection:
		return connection, HopByHop
	case upgrade:
		return upgrade, HopByHop
	case "Keep-Alive":
		return "Keep-Alive", HopByHop
	default:
		s := passedOn(name)
		if s == "" {
			return "", Other
		}
		return s, EndToEnd
	}
}

// passedOn knows the fields of responses as they usually are.
func passedOn(name []byte) string {
	switch string(name) {
	case "Accept-Ranges":
		return "Accept-Ranges"
	case "Access-Control-Allow-Origin":
		return "Access-Control-Allow-Origin"
	case "Age":
		return "Age"
	case "Cache-Control":
		return "Cache-Control"
	case "Content-Disposition":
		return "Content-Disposition"
	case "Content-Encoding":
		return "Content-Encoding"
	case "Content-Language":
		return "Content-Language"
	case "Content-Range":
		return "Content-Range"
	case "Content-Security-Policy":
		return "Content-Security-Policy"
	case "Content-Type":
		return "Content-Type"
	case "Date":
		return "Date"
	case "Etag":
		return "Etag"
	case "Expires":
		return "Expires"
	case "Last-Modified":
		return "Last-Modified"
	case "Link":
		return "Link"
	default:
		return passedOnToo(name)
	}
}

func passedOnToo(name []byte) string {
	switch string(name) {
	case "Location":
		return "Location"
	case "Pragma":
		return "Pragma"
	case "Retry-After":
		return "Retry-After"
	case "Server":
		return "Server"
	case "Set-Cookie":
		return "Set-Cookie"
	case "Strict-Transport-Security":
		return "Strict-Transport-Security"
	case "Vary":
		return "Vary"
	case "Www-Authenticate":
		return "Www-Authenticate"
	case "X-Content-Type-Options":
		return "X-Content-Type-Options"
	case "X-Frame-Options":
		return "X-Frame-Options"
	case "X-Powered-By":
		return "X-Powered-By"
	default:
		return ""
	}
}
