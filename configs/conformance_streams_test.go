package configs

import (
	"slices"
	"strings"
)

// http2Cases are the rows as they are over HTTP/2.
func http2Cases() []conformanceCase {
	cases := append(requestStreams(), headerStreams()...)
	cases = append(cases, answerStreams()...)
	return append(cases,
		conformanceCase{row: "Expect", name: "100 once the chain has let it through", over: two, run: continues2},
		conformanceCase{row: "HTTP/2 settings", name: "announced", over: two, run: settings2},
		conformanceCase{row: "idle client", name: "behind an answer", over: two, setup: quick, run: idle2},
		conformanceCase{row: "client gone", name: "closed", over: two, run: gone2(func(c *caller2) { _ = c.conn.Close() })},
		conformanceCase{row: "client gone", name: "stream reset", over: two, run: gone2(func(c *caller2) { c.wrote(c.framer.WriteRSTStream(1, 8)) })},
	)
}

// bad is a request that is refused with 400 before a backend is asked.
func bad(row, name string, head ...string) stream {
	return stream{row: row, name: name, head: head, status: "400"}
}

// fine is a request that goes through as saw.
func fine(row, name, saw string, head ...string) stream {
	return stream{row: row, name: name, head: head, status: "200", saw: saw}
}

// illegal is a head that is no HTTP/2: the stream ends without an answer.
func illegal(row, name string, head ...string) stream {
	return stream{row: row, name: name, head: head, end: "RST_STREAM PROTOCOL_ERROR"}
}

func requestStreams() []conformanceCase {
	long := strings.Repeat("a", 8192)
	post := []string{":method", "POST"}
	with := func(head []string, more ...string) []string { return append(slices.Clip(head), more...) }
	var fields []string
	for range 100 {
		fields = append(fields, "x", "y")
	}
	return streams(
		stream{row: "Content-Length", name: "CL fine", head: with(post, "content-length", "5"), data: []string{"hello"}, status: "200", saw: "POST / a hello"},
		stream{row: "Content-Length", name: "no CL", head: post, data: []string{"hel", "lo"}, status: "200", saw: "POST / a hello"},
		bad("Content-Length", "two CL, even equal", with(post, "content-length", "5", "content-length", "5")...),
		bad("Content-Length", "CL list", with(post, "content-length", "5, 5")...),
		bad("Content-Length", "CL with a sign", with(post, "content-length", "+5")...),
		bad("Content-Length", "CL leading zeros", with(post, "content-length", "05")...),
		bad("Content-Length", "CL without a body", with(post, "content-length", "5")...),
		bad("Content-Length", "TE", "transfer-encoding", "chunked"),
		stream{row: "body over max_body", name: "announced", head: with(post, ":authority", "small", "content-length", "11"), data: []string{"hello world"}, status: "413"},
		stream{row: "body over max_body", name: "unannounced", head: with(post, ":authority", "small"), data: []string{"hello world"}, status: "413", begun: true},
		stream{row: "body over max_body", name: "largest", head: with(post, ":authority", "small"), data: []string{"hello worl"}, status: "200", saw: "POST / small hello worl"},
		stream{
			row: "body shorter than announced", name: "by DATA", head: with(post, "content-length", "9"), data: []string{"hello"}, begun: true,
			status: "400",
		},
		stream{
			row: "body shorter than announced", name: "and longer", head: with(post, "content-length", "3"), data: []string{"hello"}, begun: true,
			end: "RST_STREAM PROTOCOL_ERROR",
		},
		stream{
			row: "trailers", name: "not to a backend of HTTP/1.1", head: with(post, "trailer", "x"), data: []string{"hello"}, trailers: []string{"x", "y"},
			status: "200", saw: "POST / a hello", fields: append([]string{"transfer-encoding: chunked"}, added2()...),
		},
		illegal("line endings and names", "name in upper case", "X-A", "y"),
		illegal("line endings and names", "name with a space", "x a", "y"),
		illegal("line endings and names", "empty name", "", "y"),
		illegal("line endings and names", "unknown pseudo-header", ":x", "y"),
		illegal("control characters in a value", "NUL", "x", "a\x00b"),
		illegal("control characters in a value", "CR LF", "x", "a\r\nb: c"),
		illegal("control characters in a value", "others", "x", "\x1f"),
		fine("control characters in a value", "tab is legal, 0x80 and above opaque", "GET / a", "x", "a\tb\x80\xff"),
		stream{
			row: "header name with underscore", name: "dropped", head: []string{"x_y", "z", "x-y", "z"}, status: "200", saw: "GET / a",
			fields: append(added2(), "x-y: z"),
		},
		stream{row: "request line and head", name: "request line over 8 KiB", head: []string{":path", "/" + long}, status: "414"},
		stream{row: "request line and head", name: "head over 32 KiB", head: []string{"x", long, "x", long, "x", long, "x", long}, status: "431"},
		stream{row: "request line and head", name: "over 100 fields", head: fields, status: "431"},
		fine("request line and head", "99 fields and a host", "GET / a", fields[:198]...),
		stream{row: "methods", name: "CONNECT", head: []string{":method", "CONNECT", ":path", "-", ":scheme", "-"}, status: "405"},
		stream{row: "methods", name: "TRACE", head: []string{":method", "TRACE"}, status: "405"},
		stream{row: "methods", name: "OPTIONS *", head: []string{":method", "OPTIONS", ":path", "*"}, status: "204"},
		bad("methods", "other methods on *", ":path", "*"),
		fine("methods", "unknown method", "BREW / a", ":method", "BREW"),
		bad("methods", "method that is no token", ":method", "G T"),
		bad("absolute-form", "in :path", ":path", "http://a/"),
		illegal("absolute-form", "no scheme", ":scheme", "-"),
		illegal("target", "no path", ":path", "-"),
		bad("target", "with #", ":path", "/#b"),
		bad("target", "path with another byte", ":path", "/{b}"),
		bad("target", "path with a space", ":path", "/a b"),
		illegal("target", "path with a bad percent-escape", ":path", "/%zz"),
		bad("target", "query with 0x80", ":path", "/?\x80"),
		bad("target", "query with a space", ":path", "/?a b"),
		fine("target", "path with [ ] | ^", "GET /%5Bb%5D%7C%5E a", ":path", "/[b]|^"),
		bad("escapes in the path", "%5C", ":path", "/%5c"),
		bad("escapes in the path", "%00", ":path", "/%00"),
		bad("escapes in the path", "%2F that makes a dot segment", ":path", "/a%2f.."),
		fine("escapes in the path", "any other %2F", "GET /a%2Fb a", ":path", "/a%2fb"),
		fine("one canonical form", "dots, slashes, escapes, parameters", "GET /x/~z;p a", ":path", "//x/./y/../%7ez;p"),
		fine("the query goes through byte for byte", "as browsers send it", "GET /?[]{}|^%zz/../ a", ":path", "/?[]{}|^%zz/../"),
		bad("Host", "missing", ":authority", "-"),
		bad("Host", "not a valid name", ":authority", "a/b"),
		illegal("Host", "with userinfo", ":authority", "u@a"),
		bad("Host", "port 0", ":authority", "a:0"),
		bad("Host", "another one beside", "host", "b"),
		bad("Host", "several beside", "host", "a", "host", "a"),
		fine("Host", "the same beside", "GET / a", "host", "a"),
		fine("Host", "instead of :authority", "GET / a", ":authority", "-", "host", "a"),
		fine("Host", "bracketed IPv6 with a port", "GET / [::1]:8080", ":authority", "[::1]:8080"),
		stream{row: "Expect", name: "other expectations", head: []string{"expect", "tea"}, status: "417"},
		stream{row: "Host of the backend", name: "the URL's, with its path", head: []string{":authority", "rehosted"}, status: "200", saw: "GET /base/ "},
		fine("Host of the backend", "the client's", "GET / Other.Example:8080", ":authority", "Other.Example:8080"),
	)
}

// added2 is what the gateway adds to a request that came by HTTP/2.
func added2() []string {
	return []string{"via: 2.0 apigateway", added[1], added[2], added[3]}
}

func headerStreams() []conformanceCase {
	forged := []string{
		"x-forwarded-for", "192.0.2.1", "x-forwarded-proto", "https", "x_forwarded_for", "192.0.2.2", "forwarded", "for=192.0.2.1", "x-real-ip", "192.0.2.1",
		"x-original-url", "/b", "x-rewrite-url", "/b", "true-client-ip", "192.0.2.1", "x-request-id", "forged", "x-gateway-key", "root", "via", "1.0 before",
	}
	const answered = okHead + "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nUpgrade: h2c\r\n" +
		"Date: Mon, 23 Nov 2026 20:00:00 GMT\r\nX-Stays: 3\r\nContent-Length: 2\r\n\r\nok"
	return streams(
		stream{
			row: "what an untrusted peer says", name: "is dropped, in any spelling", head: forged, status: "200", saw: "GET / a",
			fields: []string{"via: 1.0 before, 2.0 apigateway", added[1], added[2], added[3]},
		},
		stream{
			row: "what a trusted peer says", name: "is believed", setup: trusted, head: forged, status: "200", saw: "GET / a", fields: []string{
				"forwarded: for=192.0.2.1", "true-client-ip: 192.0.2.1", "via: 1.0 before, 2.0 apigateway", "x-forwarded-for: 192.0.2.1, 127.0.0.1", "x-forwarded-host: a",
				"x-forwarded-proto: https", "x-original-url: /b", "x-real-ip: 192.0.2.1", "x-request-id: forged", "x-rewrite-url: /b", "x_forwarded_for: 192.0.2.2",
			},
		},
		stream{
			row: "hop-by-hop", name: "of requests", head: []string{"te", "trailers", "trailer", "x", "proxy-authorization", "Basic x", "x-stays", "3"},
			status: "200", saw: "GET / a", fields: append(append([]string{"te: trailers"}, added2()...), "x-stays: 3"),
		},
		bad("hop-by-hop", "Connection", "connection", "x-hop"),
		bad("hop-by-hop", "Keep-Alive", "keep-alive", "timeout=5"),
		bad("hop-by-hop", "Proxy-Connection", "proxy-connection", "keep-alive"),
		bad("hop-by-hop", "Upgrade", "upgrade", "h2c"),
		bad("hop-by-hop", "TE that is not trailers", "te", "gzip"),
		stream{
			row: "hop-by-hop", name: "of responses", script: inTurn(whole(answered), whole(okShort)), status: "200", saw: "GET / a",
			answer: []string{"content-length: 2", "x-stays: 3"}, body: "ok",
		},
		stream{
			row: "what the gateway sets", name: "the key's name for the key", head: []string{":authority", "guarded", "x-api-key", fileKey}, status: "200", saw: "GET / guarded",
			fields: []string{"via: 2.0 apigateway", added[1], "x-forwarded-host: guarded", added[3], "x-gateway-key: tester"},
		},
		stream{
			row: "interim responses", name: "103 goes through", script: inTurn(whole("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+okShort), whole(okShort)),
			status: "103 200", saw: "GET / a",
		},
		stream{
			row: "interim responses", name: "others do not", script: inTurn(whole(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 8)+okShort), whole(okShort)),
			status: "200", saw: "GET / a",
		},
	)
}

func answerStreams() []conformanceCase {
	const length = "Content-Length: 5\r\n\r\n"
	post := []string{":method", "POST", ":authority", "guarded"}
	early := func(c *backendConn) bool { // leaves the body
		_ = c.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		c.waitClosed()
		return false
	}
	part := okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	const event = "d\r\ndata: first\n\n\r\n"
	const events = okHead + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + event
	cases := streams(
		stream{row: "refused before the body", name: "whole", head: post, data: []string{"hello"}, status: "401"},
		stream{row: "refused before the body", name: "large", head: post, data: full2(60 << 10), status: "401"},
		stream{row: "refused before the body", name: "not ended", head: post, data: []string{"hello"}, open: true, status: "401"},
		stream{
			row: "answered before the body", name: "not ended", head: []string{":method", "POST"}, data: []string{"hello"}, open: true,
			script: inTurn(early, whole(okShort)), status: "403", body: "no", begun: true,
		},
		stream{row: "no body", name: "204 with a length", script: inTurn(whole("HTTP/1.1 204 No Content\r\n"+length), whole(okShort)), status: "204", saw: "GET / a", answer: []string{}},
		stream{
			row: "no body", name: "304 with a length", script: inTurn(whole("HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n"+length), whole(okShort)),
			status: "304", saw: "GET / a", answer: []string{"etag: \"a\""},
		},
		stream{
			row: "no body", name: "HEAD with a length", head: []string{":method", "HEAD"}, script: inTurn(whole(okHead+length), whole(okShort)),
			status: "200", saw: "HEAD / a", answer: []string{"content-length: 5"},
		},
		stream{
			row: "close-delimited body", name: "ends the stream", script: inTurn(thenClose(okHead+"X-A: a\r\n\r\nto the end"), whole(okShort)),
			status: "200", saw: "GET / a", answer: []string{"x-a: a"}, body: "to the end",
		},
		stream{row: "time to the first byte", name: "of a backend", setup: quick, script: inTurn(saysOnly("")), status: "504", saw: "GET / a", lost: true},
		stream{
			row: "time between reads", name: "of a backend", setup: quick, script: inTurn(saysOnly(part)), status: "200", saw: "GET / a",
			end: "RST_STREAM INTERNAL_ERROR", lost: true,
		},
		stream{row: "time of a service", name: "without an answer", head: []string{":authority", "bounded"}, script: inTurn(saysOnly(""), whole(okShort)), status: "504", saw: "GET / bounded"},
		stream{
			row: "time of a service", name: "within an answer", head: []string{":authority", "bounded"}, script: inTurn(saysOnly(part), whole(okShort)),
			status: "200", saw: "GET / bounded", end: "RST_STREAM INTERNAL_ERROR",
		},
		stream{
			row: "streams", name: "idle for too long", head: []string{":authority", "streaming"}, script: inTurn(saysOnly(events), whole(okShort)),
			status: "200", saw: "GET / streaming", end: "RST_STREAM INTERNAL_ERROR",
		},
		stream{
			row: "streams", name: "may be silent for longer than others", setup: quick, status: "200", saw: "GET / a", body: "data: first\n\ndata: first\n\n", lost: true,
			script: inTurn(func(c *backendConn) bool {
				return c.readBody() && c.say(events) && c.pause() && c.say(event+"0\r\n\r\n")
			}),
		},
		stream{row: "body time", name: "by DATA", setup: quick, head: []string{":method", "POST"}, data: []string{"hello"}, open: true, status: "408", begun: true, lost: true},
	)
	for name, answer := range brokenBodies() {
		cases = append(cases, streams(stream{
			row: "truncated body", name: name, script: inTurn(thenClose(answer), whole(okShort)), status: "200", saw: "GET / a", end: "RST_STREAM INTERNAL_ERROR",
		})...)
	}
	return cases
}
