package conformance

import (
	"slices"
	"strings"
)

// Requests returns every message.
func Requests() []Message {
	return slices.Concat(lengths(), codings(), chunked(), lines(), headers(), sizes(), requestLines(), targets(), paths(), hosts(), connections())
}

func lengths() []Message {
	return row("Content-Length",
		refused(Malformed, "CL and TE both present", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE and CL both present", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "400"),
		refused(Optional, "two CL, even equal", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400"),
		refused(Malformed, "two CL that differ", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"),
		refused(Optional, "CL list", post("Content-Length: 5, 5\r\n", "hello"), "400"),
		refused(Malformed, "CL list that differs", post("Content-Length: 5, 6\r\n", "hello"), "400"),
		refused(Malformed, "CL with a sign", post("Content-Length: +5\r\n", "hello"), "400"),
		refused(Malformed, "CL negative", post("Content-Length: -5\r\n", "hello"), "400"),
		refused(Malformed, "CL hexadecimal", post("Content-Length: 0x5\r\n", "hello"), "400"),
		refused(Malformed, "CL empty", post("Content-Length:\r\n", ""), "400"),
		refused(Malformed, "CL with a space inside", post("Content-Length: 5 0\r\n", "hello"), "400"),
		refused(Declined, "CL of 20 digits", post("Content-Length: 00000000000000000005\r\n", "hello"), "400"),
		refused(Optional, "CL over 2^63-1", post("Content-Length: 9223372036854775808\r\n", "hello"), "400"),
		refused(Declined, "CL leading zeros", post("Content-Length: 05\r\n", "hello"), "400"),
		taken(Legal, "CL fine", post("Content-Length: 5\r\n", "hello"), hello),
		taken(Legal, "CL 0", post("Content-Length: 0\r\n", ""), posted),
		taken(Legal, "CL with white space around", post("Content-Length: \t5 \r\n", "hello"), hello),
	)
}

func codings() []Message {
	return slices.Concat(row("Transfer-Encoding",
		refused(Optional, "TE unknown coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"),
		refused(Malformed, "TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE twice in a list", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE parameters", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE odd white space", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "TE empty", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "400"),
		refused(Optional, "TE identity", post("Transfer-Encoding: identity\r\n", ""), "501"),
		taken(Legal, "TE one exact chunked, any case", post("Transfer-Encoding: cHunKed\r\n", "5\r\nhello\r\n0\r\n\r\n"), hello),
	), row("Transfer-Encoding on HTTP/1.0",
		refused(Malformed, "TE on HTTP/1.0", "POST / HTTP/1.0\r\n"+host+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
	))
}

func chunked() []Message {
	ext := strings.Repeat("e", 254)
	return slices.Concat(row("chunk size",
		broken(Optional, "chunk size over 16 hex digits", chunks("00000000000000005\r\nhello\r\n0\r\n\r\n")),
		taken(Legal, "chunk size of 16 hex digits", chunks("0000000000000005\r\nhello\r\n0\r\n\r\n"), hello),
		taken(Legal, "chunk size in upper case", chunks("A\r\nhellohello\r\n0\r\n\r\n"), hello+"hello"),
		broken(Optional, "chunk size overflows", chunks("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
		broken(Optional, "chunk size overflows to 5", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size sign", chunks("+5\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size negative", chunks("-5\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size prefix", chunks("0x5\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size space before", chunks(" 5\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size space behind", chunks("5 \r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size empty", chunks("\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk size no digit", chunks("5g\r\nhello\r\n0\r\n\r\n")),
	), row("chunk line",
		taken(Legal, "chunk line of 256 B", chunks("5;"+ext+"\r\nhello\r\n0\r\n\r\n"), hello),
		broken(Optional, "chunk line over 256 B", chunks("5;"+ext+"e\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk line bare LF", chunks("5\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk line bare LF behind another digit", chunks("5a\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk line bare CR", chunks("5\r5\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk extension malformed", chunks("5;=b\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk extension without its quote", chunks("5;a=\"b\r\nhello\r\n0\r\n\r\n")),
		broken(Malformed, "chunk extension with a control character", chunks("5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n")),
		taken(Legal, "chunk extensions are ignored", chunks("5 ; a = \"\\\"\" ;b\r\nhello\r\n0;c\r\n\r\n"), hello),
		broken(Malformed, "missing CRLF after data", chunks("5\r\nhelloX0\r\n\r\n")),
		broken(Malformed, "missing CR after data", chunks("5\r\nhello\n0\r\n\r\n")),
		broken(Malformed, "missing CR after the last chunk", chunks("5\r\nhello\r\n0\n\r\n")),
		taken(Legal, "several chunks", chunks("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), hello),
	), row("trailers",
		taken(Legal, "trailers are dropped", chunks("5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n"), hello),
		broken(Optional, "framing names in trailers: CL", chunks("0\r\ncontent-length: 5\r\n\r\n")),
		broken(Optional, "framing names in trailers: TE", chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n")),
		broken(Optional, "framing names in trailers: Host", chunks("0\r\nHost: b\r\n\r\n")),
		broken(Malformed, "trailer without a colon", chunks("0\r\nX y\r\n\r\n")),
		broken(Optional, "trailer with a bare LF", chunks("0\r\nX: y\n\r\n")),
		broken(Malformed, "trailer with a space before the colon", chunks("0\r\nX : y\r\n\r\n")),
		broken(Optional, "trailers over 100 fields", chunks("0\r\n"+strings.Repeat("X: y\r\n", 101)+"\r\n")),
	))
}

func lines() []Message {
	return slices.Concat(row("line endings and names",
		refused(Optional, "line ending LF in the request line", "GET / HTTP/1.1\n"+host+"\r\n", "400"),
		refused(Optional, "line ending LF in a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400"),
		refused(Optional, "line ending LF at the end", "GET / HTTP/1.1\r\n"+host+"\n", "400"),
		refused(Optional, "line ending CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", "400"),
		refused(Optional, "obs-fold", get("X: y\r\n z\r\n"), "400"),
		refused(Optional, "obs-fold by a tab", get("X: y\r\n\tz\r\n"), "400"),
		refused(Optional, "obs-fold before the first header", "GET / HTTP/1.1\r\n X: y\r\n"+host+"\r\n", "400"),
		refused(Malformed, "space before colon", get("X : y\r\n"), "400"),
		refused(Malformed, "space before the colon of CL", post("Content-Length : 5\r\n", "hello"), "400"),
		refused(Malformed, "tab before the colon of TE", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), "400"),
		refused(Malformed, "empty name", get(": y\r\n"), "400"),
		refused(Malformed, "non-token name", get("X(: y\r\n"), "400"),
		refused(Malformed, "name with a space inside", get("X Y: y\r\n"), "400"),
		refused(Malformed, "name with 0x80", get("X\x80: y\r\n"), "400"),
		refused(Malformed, "name with NUL", get("X\x00: y\r\n"), "400"),
		refused(Malformed, "line without colon", get("X\r\n"), "400"),
	), row("control characters in a value",
		refused(Optional, "NUL in a value", get("X: a\x00b\r\n"), "400"),
		refused(Optional, "CR in a value", get("X: a\rb\r\n"), "400"),
		refused(Optional, "LF in a value", get("X: a\nb\r\n"), "400"),
		refused(Optional, "other control characters in a value", get("X: 0123456789\x1f\r\n"), "400"),
		refused(Optional, "DEL in a value", get("X: \x7f\r\n"), "400"),
		taken(Legal, "tab is legal, 0x80 and above opaque", get("X: \ta\tb\x80\xff\t \r\n"), root),
	))
}

func headers() []Message {
	return slices.Concat(row("header name with underscore",
		taken(Legal, "header name with underscore", get("X_y: z\r\n"), root),
	), row("Expect",
		taken(Legal, "Expect: 100-continue with its body", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"), hello),
		taken(Legal, "Expect: 100-Continue in another case", post("Expect: 100-Continue\r\nContent-Length: 5\r\n", "hello"), hello),
		refused(Optional, "other expectations", get("Expect: tea\r\n"), "417"),
		refused(Optional, "an expectation beside 100-continue", post("Expect: 100-continue, tea\r\nContent-Length: 5\r\n", "hello"), "417"),
	))
}

func sizes() []Message {
	long := strings.Repeat("a", 8192)
	fits := long[:8192-len("GET / HTTP/1.1\r\n")]
	return row("request line and head",
		refused(Optional, "request line over 8 KiB", "GET /"+long+" HTTP/1.1\r\n"+host+"\r\n", "414"),
		taken(Legal, "request line of 8 KiB", "GET /"+fits+" HTTP/1.1\r\n"+host+"\r\n", "GET /"+fits+" a"),
		refused(Optional, "request line over 8 KiB without an end", "GET /"+long, "414"),
		refused(Optional, "head over 32 KiB", get(strings.Repeat("X: "+long+"\r\n", 4)), "431"),
		taken(Optional, "head under 32 KiB", get(strings.Repeat("X: "+long[:8000]+"\r\n", 3)), root),
		refused(Optional, "head over 32 KiB without an end", "GET / HTTP/1.1\r\n"+host+"X: "+strings.Repeat(long, 5), "431"),
		refused(Optional, "over 100 fields", get(strings.Repeat("X: y\r\n", 100)), "431"),
		taken(Legal, "100 fields", get(strings.Repeat("X: y\r\n", 99)), root),
	)
}

func requestLines() []Message {
	return slices.Concat(row("request line",
		refused(Optional, "several spaces between parts", "GET  / HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "space at the end", "GET / HTTP/1.1 \r\n"+host+"\r\n", "400"),
		refused(Malformed, "space at the begin", " GET / HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "tabs between parts", "GET\t/\tHTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "space in the target", "GET /a b HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "no target", "GET HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "method that is no token", "G(T / HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "lower-case http/1.1", "GET / http/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "HTTP/0.9", "GET /\r\n\r\n", "400"),
		refused(Optional, "HTTP/0.9 by name", "GET / HTTP/0.9\r\n"+host+"\r\n", "400"),
		refused(Optional, "a version other than 1.0, 1.1", "GET / HTTP/1.2\r\n"+host+"\r\n", "505"),
		refused(Optional, "a version other than 1.0, 1.1: 3.0", "GET / HTTP/3.0\r\n"+host+"\r\n", "505"),
		refused(Malformed, "version without a dot", "GET / HTTP/11\r\n"+host+"\r\n", "400"),
		refused(Malformed, "version of two digits", "GET / HTTP/1.10\r\n"+host+"\r\n", "400"),
		refused(Malformed, "TLS on a plain port", "\x16\x03\x01\x02\x00\x01", "400"),
	), row("empty lines before a request",
		taken(Legal, "empty lines before a request: two", "\r\n\r\n"+get(""), root),
		refused(Optional, "empty lines before a request: three", "\r\n\r\n\r\n"+get(""), "400"),
		refused(Optional, "empty line of LF before a request", "\n"+get(""), "400"),
	), row("methods",
		refused(Optional, "CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405"),
		refused(Optional, "TRACE", "TRACE / HTTP/1.1\r\n"+host+"\r\n", "405"),
		Message{Name: "OPTIONS *", Class: Legal, Send: "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", Statuses: "204", Kept: true},
		Message{Name: "OPTIONS * with a body", Class: Legal, Send: "OPTIONS * HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", Statuses: "204", Kept: true},
		Message{Name: "OPTIONS * with a malformed body", Class: Malformed, Send: "OPTIONS * HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + get(""), Statuses: "204"},
		Message{
			Name: "OPTIONS * with a body that nobody reads to its end", Class: Legal, Statuses: "204",
			Send: "OPTIONS * HTTP/1.1\r\n" + host + "Content-Length: 70000\r\n\r\n" + strings.Repeat(get(""), 70000/len(get(""))+1)[:70000],
		},
		refused(Malformed, "other methods on *", "GET * HTTP/1.1\r\n"+host+"\r\n", "400"),
		taken(Legal, "OPTIONS on a path", "OPTIONS / HTTP/1.1\r\n"+host+"\r\n", "OPTIONS / a"),
		taken(Optional, "unknown method", "BREW / HTTP/1.1\r\n"+host+"\r\n", "BREW / a"),
		taken(Optional, "method in lower case is another method", "get / HTTP/1.1\r\n"+host+"\r\n", "get / a"),
	))
}

func targets() []Message {
	return slices.Concat(row("absolute-form",
		taken(Legal, "absolute-form", "GET http://A:80/b?c HTTP/1.1\r\n"+host+"\r\n", "GET /b?c a"),
		taken(Legal, "absolute-form without a path", "GET http://a HTTP/1.1\r\n"+host+"\r\n", root),
		refused(Optional, "absolute-form: other authority", "GET http://b/ HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "absolute-form: other port", "GET http://a:81/ HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "absolute-form: other scheme", "GET https://a/ HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Optional, "absolute-form: userinfo", "GET http://u@a/ HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "authority-form", "GET a:80 HTTP/1.1\r\n"+host+"\r\n", "400"),
	), row("target",
		refused(Malformed, "target with #", "GET /#b HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "path with another byte", "GET /{b} HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "path with a quote", "GET /\" HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "path with a backslash", "GET /a\\b HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "path with 0x80", "GET /\x80 HTTP/1.1\r\n"+host+"\r\n", "400"),
		taken(Optional, "path with [ ] | ^", "GET /[b]|^ HTTP/1.1\r\n"+host+"\r\n", "GET /%5Bb%5D%7C%5E a"),
		refused(Malformed, "path with a bad percent-escape", "GET /%zz HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "path with half a percent-escape", "GET /%4 HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "query with 0x80", "GET /?\x80 HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "query with DEL", "GET /?\x7f HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Malformed, "query with #", "GET /?a#b HTTP/1.1\r\n"+host+"\r\n", "400"),
		taken(Optional, "query as browsers send it", "GET /?[]{}|^%zz HTTP/1.1\r\n"+host+"\r\n", "GET /?[]{}|^%zz a"),
		taken(Legal, "query that is empty", "GET /? HTTP/1.1\r\n"+host+"\r\n", "GET /? a"),
	), row("escapes in the path",
		refused(Declined, "%5C in the path", "GET /%5c HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Declined, "%00 in the path", "GET /%00 HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Declined, "%2F that makes a dot segment", "GET /a%2f.. HTTP/1.1\r\n"+host+"\r\n", "400"),
		refused(Declined, "%2F that makes a dot segment behind an escaped dot", "GET /a/%2e%2E%2Fb HTTP/1.1\r\n"+host+"\r\n", "400"),
		taken(Legal, "any other %2F", "GET /a%2fb HTTP/1.1\r\n"+host+"\r\n", "GET /a%2Fb a"),
	))
}

func paths() []Message {
	path := func(name, sent, want string) Message {
		return taken(Legal, name, "GET "+sent+" HTTP/1.1\r\n"+host+"\r\n", "GET "+want+" a")
	}
	return slices.Concat(row("one canonical form",
		path("path canonical: dots, slashes, escapes, parameters", "//x/./y/../%7ez;p", "/x/~z;p"),
		path("path: unreserved escapes are decoded once", "/%61%252e%252E/b", "/a%252e%252E/b"),
		path("path: an escaped dot segment is one", "/a/%2e%2e/b", "/b"),
		path("path: no way above the root", "/../../a", "/a"),
		path("path: a dot segment at the end", "/a/b/..", "/a/"),
		path("path: escapes of others stay, in upper case", "/%3f%3b%c3%a9", "/%3F%3B%C3%A9"),
		path("path: parameters keep their place", "/a;x=../b;y", "/a;x=../b;y"),
	), row("the query goes through byte for byte",
		path("query: dots, slashes and escapes stay", "/a?b=/../%7e%2F//&&;?", "/a?b=/../%7e%2F//&&;?"),
	))
}

func hosts() []Message {
	return row("Host",
		refused(Malformed, "Host missing", "GET / HTTP/1.1\r\n\r\n", "400"),
		taken(Legal, "Host missing on HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / "),
		refused(Malformed, "Host several", get(host), "400"),
		refused(Malformed, "Host several that differ", get("Host: b\r\n"), "400"),
		refused(Optional, "Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"),
		refused(Optional, "Host empty on HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", "400"),
		refused(Malformed, "Host not a valid name", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
		refused(Malformed, "Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
		refused(Malformed, "Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
		refused(Malformed, "Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
		refused(Optional, "Host port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", "400"),
		refused(Malformed, "Host port over 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"),
		refused(Malformed, "Host port not a number", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400"),
		refused(Malformed, "Host bracketed that is no IPv6", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", "400"),
		refused(Malformed, "Host IPv6 without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "400"),
		taken(Legal, "Host bracketed IPv6 with a port", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET / [::1]:8080"),
		taken(Legal, "Host IPv4", "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", "GET / 192.0.2.1"),
		taken(Legal, "Host in upper case, default port, final dot", "GET / HTTP/1.1\r\nHost: A.:80\r\n\r\n", "GET / A.:80"),
	)
}

func connections() []Message {
	return slices.Concat(row("keep-alive",
		last(taken(Legal, "HTTP/1.0 without keep-alive", "GET / HTTP/1.0\r\n"+host+"\r\n", root)),
		taken(Legal, "HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\n"+host+"Connection: Keep-Alive\r\n\r\n", root),
		last(taken(Legal, "Connection: close", get("Connection: x, Close\r\n"), root)),
		last(taken(Legal, "Connection: close wins", get("Connection: keep-alive\r\nConnection: close\r\n"), root)),
	), row("pipelined requests",
		Message{
			Name: "pipelined requests", Class: Legal, Send: get("") + post("Content-Length: 2\r\n", "ab") + get(""),
			Statuses: "200 200 200", Saw: root + "|" + posted + " ab|" + root, Kept: true,
		},
		Message{Name: "pipelined, the second malformed", Class: Malformed, Send: get("") + "GET /\x01 HTTP/1.1\r\n" + host + "\r\n" + get(""), Statuses: "200 400", Saw: root},
		Message{Name: "pipelined behind chunks", Class: Legal, Send: chunks("1\r\na\r\n0\r\n\r\n") + get(""), Statuses: "200 200", Saw: posted + " a|" + root, Kept: true},
		Message{
			Name: "what is behind a refused request is not parsed", Class: Malformed, Send: post("Content-Length: x\r\n", "") + get(""), Statuses: "400",
		},
	))
}
