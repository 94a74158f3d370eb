package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"apigateway/dataplane/internal/wire"
)

// row is a row of the table of what is accepted and refused, and a case of it.
type row struct {
	name   string
	send   string
	status string // of all answers
	saw    string // "METHOD path host body" of each request that a handler got; what is refused is seen by none
	kept   bool   // the connection goes on: a request behind this one is answered
}

const host = "Host: a\r\n"

func get(lines string) string { return "GET / HTTP/1.1\r\n" + host + lines + "\r\n" }

func post(lines, body string) string { return "POST / HTTP/1.1\r\n" + host + lines + "\r\n" + body }

func chunks(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

const (
	root   = "GET / a"
	posted = "POST / a"
)

func rows() []row {
	long := strings.Repeat("a", 8192)
	ext := strings.Repeat("e", 254)
	return []row{
		{"CL and TE both present", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400", "", false},
		{"two CL, even equal", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400", "", false},
		{"CL list", post("Content-Length: 5, 5\r\n", "hello"), "400", "", false},
		{"CL with a sign", post("Content-Length: +5\r\n", "hello"), "400", "", false},
		{"CL empty", post("Content-Length:\r\n", ""), "400", "", false},
		{"CL of 20 digits", post("Content-Length: 00000000000000000005\r\n", "hello"), "400", "", false},
		{"CL over 2^63-1", post("Content-Length: 9223372036854775808\r\n", "hello"), "400", "", false},
		{"CL leading zeros", post("Content-Length: 05\r\n", "hello"), "400", "", false},
		{"CL fine", post("Content-Length: 5\r\n", "hello"), "200", posted + " hello", true},
		{"CL 0", post("Content-Length: 0\r\n", ""), "200", posted, true},
		{"TE unknown coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501", "", false},
		{"TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400", "", false},
		{"TE not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), "400", "", false},
		{"TE parameters", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), "400", "", false},
		{"TE odd white space", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), "400", "", false},
		{"TE one exact chunked, any case", post("Transfer-Encoding: cHunKed\r\n", "5\r\nhello\r\n0\r\n\r\n"), "200", posted + " hello", true},
		{"TE on HTTP/1.0", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "", false},
		{"chunk size over 16 hex digits", chunks("00000000000000005\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size of 16 hex digits", chunks("0000000000000005\r\nhello\r\n0\r\n\r\n"), "200", posted + " hello", true},
		{"chunk size overflows", chunks("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size sign", chunks("+5\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size prefix", chunks("0x5\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size space before", chunks(" 5\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size space behind", chunks("5 \r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk size empty", chunks("\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk line of 256 B", chunks("5;" + ext + "\r\nhello\r\n0\r\n\r\n"), "200", posted + " hello", true},
		{"chunk line over 256 B", chunks("5;" + ext + "e\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk line bare LF", chunks("5\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk line bare CR", chunks("5\r5\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk extension malformed", chunks("5;=b\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk extension without its quote", chunks("5;a=\"b\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk extension with a control character", chunks("5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n"), "400", posted, false},
		{"chunk extensions are ignored", chunks("5 ; a = \"\\\"\" ;b\r\nhello\r\n0;c\r\n\r\n"), "200", posted + " hello", true},
		{"missing CRLF after data", chunks("5\r\nhelloX0\r\n\r\n"), "400", posted, false},
		{"missing CR after data", chunks("5\r\nhello\n0\r\n\r\n"), "400", posted, false},
		{"several chunks", chunks("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), "200", posted + " hello", true},
		{"trailers are dropped", chunks("5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n"), "200", posted + " hello", true},
		{"framing names in trailers: CL", chunks("0\r\ncontent-length: 5\r\n\r\n"), "400", posted, false},
		{"framing names in trailers: TE", chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400", posted, false},
		{"trailer malformed", chunks("0\r\nX y\r\n\r\n"), "400", posted, false},
		{"trailers over 100 fields", chunks("0\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n"), "431", posted, false},
		{"line ending LF in the request line", "GET / HTTP/1.1\n" + host + "\r\n", "400", "", false},
		{"line ending LF in a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400", "", false},
		{"line ending LF at the end", "GET / HTTP/1.1\r\n" + host + "\n", "400", "", false},
		{"line ending CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", "400", "", false},
		{"obs-fold", get("X: y\r\n z\r\n"), "400", "", false},
		{"obs-fold before the first header", "GET / HTTP/1.1\r\n X: y\r\n" + host + "\r\n", "400", "", false},
		{"space before colon", get("X : y\r\n"), "400", "", false},
		{"empty name", get(": y\r\n"), "400", "", false},
		{"non-token name", get("X(: y\r\n"), "400", "", false},
		{"name with 0x80", get("X\x80: y\r\n"), "400", "", false},
		{"line without colon", get("X\r\n"), "400", "", false},
		{"NUL in a value", get("X: a\x00b\r\n"), "400", "", false},
		{"CR in a value", get("X: a\rb\r\n"), "400", "", false},
		{"other control characters in a value", get("X: 0123456789\x1f\r\n"), "400", "", false},
		{"DEL in a value", get("X: \x7f\r\n"), "400", "", false},
		{"tab is legal, 0x80 and above opaque", get("X: \ta\tb\x80\xff\t \r\n"), "200", root, true},
		{"header name with underscore is the gateway's matter", get("X_y: z\r\n"), "200", root, true},
		{"request line over 8 KiB", "GET /" + long + " HTTP/1.1\r\n" + host + "\r\n", "414", "", false},
		{"request line of 8 KiB", "GET /" + long[:8192-16] + " HTTP/1.1\r\n" + host + "\r\n", "200", "GET /" + long[:8192-16] + " a", true},
		{"request line over 8 KiB without an end", "GET /" + long, "414", "", false},
		{"head over 32 KiB", get(strings.Repeat("X: "+long+"\r\n", 4)), "431", "", false},
		{"head under 32 KiB", get(strings.Repeat("X: "+long+"\r\n", 3)), "200", root, true},
		{"head over 32 KiB without an end", "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat(long, 5), "431", "", false},
		{"over 100 fields", get(strings.Repeat("X: y\r\n", 100)), "431", "", false},
		{"100 fields", get(strings.Repeat("X: y\r\n", 99)), "200", root, true},
		{"several spaces between parts", "GET  / HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"space at the end", "GET / HTTP/1.1 \r\n" + host + "\r\n", "400", "", false},
		{"tabs between parts", "GET\t/\tHTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"lower-case http/1.1", "GET / http/1.1\r\n" + host + "\r\n", "400", "", false},
		{"HTTP/0.9", "GET /\r\n\r\n", "400", "", false},
		{"HTTP/0.9 by name", "GET / HTTP/0.9\r\n" + host + "\r\n", "400", "", false},
		{"a version other than 1.0, 1.1", "GET / HTTP/1.2\r\n" + host + "\r\n", "505", "", false},
		{"a version other than 1.0, 1.1: 2.0", "PRI * HTTP/2.0\r\n\r\n", "505", "", false},
		{"version malformed", "GET / HTTP/11\r\n" + host + "\r\n", "400", "", false},
		{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01", "400", "", false},
		{"empty lines before a request: two", "\r\n\r\n" + get(""), "200", root, true},
		{"empty lines before a request: three", "\r\n\r\n\r\n" + get(""), "400", "", false},
		{"empty line of LF before a request", "\n" + get(""), "400", "", false},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\n" + host + "\r\n", "405", "", false},
		{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", "405", "", false},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "204", "", true},
		{"OPTIONS * with a body", "OPTIONS * HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", "204", "", true},
		{"other methods on *", "GET * HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"unknown method", "BREW / HTTP/1.1\r\n" + host + "\r\n", "200", "BREW / a", true},
		{"absolute-form", "GET http://A:80/b?c HTTP/1.1\r\n" + host + "\r\n", "200", "GET /b?c a", true},
		{"absolute-form: other authority", "GET http://b/ HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"absolute-form: other scheme", "GET https://a/ HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"absolute-form: userinfo", "GET http://u@a/ HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"target with #", "GET /#b HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"path with another byte", "GET /{b} HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"path with [ ] | ^", "GET /[b]|^ HTTP/1.1\r\n" + host + "\r\n", "200", "GET /%5Bb%5D%7C%5E a", true},
		{"path with a bad percent-escape", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"query with 0x80", "GET /?\x80 HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"query as browsers send it", "GET /?[]{}|^%zz HTTP/1.1\r\n" + host + "\r\n", "200", "GET /?[]{}|^%zz a", true},
		{"%5C in the path", "GET /%5c HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"%00 in the path", "GET /%00 HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"%2F that makes a dot segment", "GET /a%2f.. HTTP/1.1\r\n" + host + "\r\n", "400", "", false},
		{"any other %2F", "GET /a%2fb HTTP/1.1\r\n" + host + "\r\n", "200", "GET /a%2Fb a", true},
		{"path canonical: dots, slashes, escapes, parameters", "GET //x/./y/../%7ez;p HTTP/1.1\r\n" + host + "\r\n", "200", "GET /x/~z;p a", true},
		{"Host missing", "GET / HTTP/1.1\r\n\r\n", "400", "", false},
		{"Host missing on HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200", "GET / ", true},
		{"Host several", get(host), "400", "", false},
		{"Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", "", false},
		{"Host empty on HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", "400", "", false},
		{"Host not a valid name", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", "", false},
		{"Host port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "400", "", false},
		{"Host bracketed IPv6 with a port", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "200", "GET / [::1]:8080", true},
		{"Expect: 100-continue with its body", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), "200", posted + " hello", true},
		{"other expectations", get("Expect: tea\r\n"), "417", "", false},
		{"HTTP/1.0 without keep-alive", "GET / HTTP/1.0\r\n" + host + "\r\n", "200", root, false},
		{"Connection: close", get("Connection: x, Close\r\n"), "200", root, false},
		{"Connection: close wins", get("Connection: keep-alive\r\nConnection: close\r\n"), "200", root, false},
		{"pipelined requests", get("") + post("Content-Length: 2\r\n", "ab") + get(""), "200 200 200", root + "|" + posted + " ab|" + root, true},
		{"pipelined, the second malformed", get("") + "GET /\r\n\r\n" + get(""), "200 400", root, false},
		{"pipelined behind chunks", chunks("1\r\na\r\n0\r\n\r\n") + get(""), "200 200", posted + " a|" + root, true},
	}
}

// witness is a handler that notes what it saw.
type witness struct {
	mu  sync.Mutex
	all []string
}

func (h *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	target := r.URL.RawPath
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	saw := fmt.Sprintf("%s %s %s", r.Method, target, r.Host)
	if len(body) > 0 && err == nil {
		saw += " " + string(body)
	}
	h.mu.Lock()
	h.all = append(h.all, saw)
	h.mu.Unlock()
	if v, ok := errors.AsType[*wire.Violation](err); ok {
		w.WriteHeader(v.Status)
	}
}

// take returns what the handler saw since the last time.
func (h *witness) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// Each case is a connection: the message and, if it is not told to end before, another request that is the last.
func TestConformance(t *testing.T) {
	const last, sawLast = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /last a"
	for _, portable := range []bool{false, true} {
		for _, piece := range []int{1 << 20, 1} {
			h := new(witness)
			addr := serve(t, &Server{Handler: h, portable: portable})
			t.Run("portable="+strconv.FormatBool(portable)+"/piece="+strconv.Itoa(piece), func(t *testing.T) {
				for _, tt := range rows() {
					t.Run(tt.name, func(t *testing.T) {
						want, saw := tt.status, tt.saw
						if tt.kept {
							want += " 200"
							saw = strings.TrimPrefix(saw+"|"+sawLast, "|")
						}
						got := ask(t, addr, tt.send+last, piece)
						if strings.TrimPrefix(statuses(got), "100 ") != want { // a 100 may come, if the body was not there yet
							t.Errorf("answers %q, want statuses %s", got, want)
						}
						if all := strings.Join(h.take(), "|"); all != saw {
							t.Errorf("handler saw %q, want %q", all, saw)
						}
					})
				}
			})
		}
	}
}

func TestRefusalHasItsCode(t *testing.T) {
	addr := serve(t, &Server{Handler: http.NotFoundHandler()})
	got := ask(t, addr, "GET /%00 HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n", 100)
	if statuses(got) != "400" || !strings.Contains(got, `"code":"bad_path_escape"`) || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("answer %q, want problem+json with its code and Connection: close", got)
	}
	if got := ask(t, addr, "HEAD / HTTP/1.1\r\n\r\n", 100); statuses(got) != "400" || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("answer to HEAD %q, want no body", got)
	}
}
