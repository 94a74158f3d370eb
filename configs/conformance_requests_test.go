package configs

import (
	"slices"
	"strings"
	"testing"
)

// What the gateway adds to every request, sorted.
var added = []string{"via: 1.1 apigateway", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: a", "x-forwarded-proto: http"}

// with adds header lines to what the gateway adds; both are sorted, and all of more come before or behind by their first letter.
func with(before []string, rest ...string) []string {
	return slices.Concat(before, added, rest)
}

// requestCases are the rows about requests that need more than a message of the corpus.
func requestCases() []conformanceCase {
	const key = "X-API-KEY: " + fileKey + "\r\n"
	tenMiB := "Content-Length: 10485761\r\n"
	return append(dialogues(
		dialogue{
			row: "body over max_body", name: "announced", send: askHost("small", "POST", "Content-Length: 11\r\n", "hello world"),
			statuses: "413", kept: true,
		},
		dialogue{
			row: "body over max_body", name: "chunked", send: askHost("small", "POST", "Transfer-Encoding: chunked\r\n", "b\r\nhello world\r\n0\r\n\r\n"),
			statuses: "413", begun: true, kept: true,
		},
		dialogue{
			row: "body over max_body", name: "largest", send: askHost("small", "POST", "Content-Length: 10\r\n", "hello worl"),
			statuses: "200", saw: "POST / small hello worl", kept: true,
		},
		dialogue{
			row: "body over max_body", name: "largest, chunked", send: askHost("small", "POST", "Transfer-Encoding: chunked\r\n", "a\r\nhello worl\r\n0\r\n\r\n"),
			statuses: "200", saw: "POST / small hello worl", kept: true,
		},
		dialogue{row: "body over max_body", name: "10 MiB unless set", send: ask("POST", "/", tenMiB, ""), statuses: "413"},
		dialogue{
			row: "header name with underscore", name: "dropped", send: ask("GET", "/", "X_y: z\r\nX-Y: z\r\n", ""),
			statuses: "200", saw: "GET / a", kept: true, fields: with(nil, "x-y: z"),
		},
		dialogue{
			row: "header name with underscore", name: "passed on if configured", setup: trusted, send: ask("GET", "/", "X_y: z\r\n", ""),
			statuses: "200", saw: "GET / a", kept: true, fields: with(nil, "x_y: z"),
		},
		dialogue{
			row: "Expect", name: "refused by the chain: no 100", send: askHost("guarded", "POST", "Expect: 100-continue\r\nContent-Length: 5\r\n", ""),
			statuses: "401",
		},
		dialogue{
			row: "Expect", name: "not of HTTP/1.0", send: "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
			statuses: "200", saw: "POST / a hello",
		},
		dialogue{
			row: "trailers", name: "not forwarded", send: ask("POST", "/", "Transfer-Encoding: chunked\r\nTrailer: X\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n"),
			statuses: "200", saw: "POST / a hello", kept: true, fields: []string{
				"transfer-encoding: chunked", added[0], added[1], added[2], added[3],
			},
		},
		dialogue{
			row: "what the gateway sets", name: "the key's name for the key", send: askHost("guarded", "GET", key, ""),
			statuses: "200", saw: "GET / guarded", kept: true,
			fields: []string{added[0], added[1], "x-forwarded-host: guarded", added[3], "x-gateway-key: tester"},
		},
		dialogue{
			row: "Host of the backend", name: "the client's", send: "GET / HTTP/1.1\r\nHost: Other.Example:8080\r\n\r\n",
			statuses: "200", saw: "GET / Other.Example:8080", kept: true,
		},
		dialogue{
			row: "Host of the backend", name: "the URL's, with its path", send: askHost("rehosted", "GET", "", ""),
			statuses: "200", saw: "GET /base/ ", kept: true, fields: []string{added[0], added[1], "x-forwarded-host: rehosted", added[3]},
		},
	),
		conformanceCase{row: "Expect", name: "100 once the chain has let it through", over: one, run: continues},
		conformanceCase{row: "body shorter than announced", name: "by length", over: one, run: cutShort("Content-Length: 9\r\n", "hello")},
		conformanceCase{row: "body shorter than announced", name: "by chunks", over: one, run: cutShort("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")},
		conformanceCase{row: "body shorter than announced", name: "within a chunk", over: one, run: cutShort("Transfer-Encoding: chunked\r\n", "5\r\nhel")},
		conformanceCase{
			row: "body shorter than announced", name: "of a large body", over: one, run: cutShort("Content-Length: 1000000\r\n", strings.Repeat("a", 300_000)),
		},
	)
}

func continues(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial(t)
	c.say(askHost("guarded", "POST", "X-API-KEY: "+fileKey+"\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", ""))
	m, err := readHead(c.in, statusLine)
	if err != nil || m.status() != "100" {
		t.Fatalf("before the body: %v, %v, want 100", m, err)
	}
	c.say("hello" + lastRequest)
	if answers, err := readAnswers(c.in); err != nil || statuses(answers) != "200 200" {
		t.Errorf("answers %q, %v, want 200 200", statuses(answers), err)
	}
	seen, _ := l.expectSeen(t, "POST / guarded hello|GET /last a", false)
	if len(seen) > 0 && seen[0].get("expect") != "" {
		t.Errorf("the backend was sent Expect: %s", seen[0].get("expect"))
	}
}

// cutShort is a client that leaves within its body. The backend is never told that it was whole.
func cutShort(lines, body string) func(t *testing.T, l *lane) {
	return func(t *testing.T, l *lane) {
		t.Helper()
		c := l.dial(t)
		c.say(ask("POST", "/", lines, body))
		b := l.backends[0]
		b.await(t, "the request to come", func() bool { return b.conns == 1 })
		_ = c.CloseWrite()
		b.await(t, "the backend's connection to end", func() bool { return len(b.part) == 1 && len(b.open) == 0 })
		if answers, _ := readAnswers(c.in); len(answers) > 0 {
			t.Errorf("answers %q, want none", statuses(answers))
		}
		l.expectSeen(t, "", true)
	}
}

// headerCases are the rows about what goes through and what does not.
func headerCases() []conformanceCase {
	const forged = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nx-forwarded-port: 1\r\nX_Forwarded_For: 192.0.2.2\r\n" +
		"Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Original-URL: /b\r\nX-Rewrite-URL: /b\r\nTrue-Client-IP: 192.0.2.1\r\n" +
		"X-Request-Id: forged\r\nX-Gateway-Key: root\r\nx-gateway-other: 1\r\nX_Gateway_Key: root\r\nVia: 1.0 before\r\n"
	const hops = "Connection: X-Hop, close\r\nConnection: x-hop-too\r\nX-Hop: 1\r\nX-Hop-Too: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n" +
		"Proxy-Authorization: Basic x\r\nTE: gzip, trailers;q=0.5, trailers\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\nX-Stays: 3\r\n"
	const named = "Connection: Host, Content-Length, Authorization, Cookie, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, Via, close\r\n" +
		"Authorization: Basic x\r\nCookie: a=b\r\nContent-Length: 5\r\n"
	const answered = okHead + "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nUpgrade: h2c\r\n" +
		"Date: Mon, 23 Nov 2026 20:00:00 GMT\r\nX-Stays: 3\r\nX-Stays: 4\r\nContent-Length: 2\r\n\r\nok"
	return dialogues(
		dialogue{
			row: "what an untrusted peer says", name: "is dropped, in any spelling", send: ask("GET", "/", forged, ""),
			statuses: "200", saw: "GET / a", kept: true,
			fields: []string{"via: 1.0 before, 1.1 apigateway", added[1], added[2], added[3]},
		},
		dialogue{
			row: "what a trusted peer says", name: "is believed", setup: trusted,
			send:     ask("GET", "/", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Request-Id: given\r\nX-Gateway-Key: root\r\n", ""),
			statuses: "200", saw: "GET / a", kept: true,
			fields: []string{added[0], "x-forwarded-for: 192.0.2.1, 127.0.0.1", "x-forwarded-host: b", "x-forwarded-proto: https", "x-request-id: given"},
		},
		dialogue{
			row: "hop-by-hop", name: "of requests", send: ask("GET", "/", hops, ""),
			statuses: "200", saw: "GET / a", fields: append([]string{"te: trailers"}, with(nil, "x-stays: 3")...),
		},
		dialogue{
			row: "hop-by-hop", name: "what Connection cannot name", send: ask("POST", "/", named, "hello"), statuses: "200", saw: "POST / a hello",
			fields: with([]string{"authorization: Basic x", "content-length: 5", "cookie: a=b"}),
		},
		dialogue{
			row: "hop-by-hop", name: "of responses", send: ask("GET", "/", "Connection: close\r\n", ""), script: answerWith(answered),
			statuses: "200", saw: "GET / a", answer: []string{"connection: close", "content-length: 2", "x-stays: 3", "x-stays: 4"}, body: "ok",
		},
		dialogue{
			row: "interim responses", name: "103 goes through", send: ask("GET", "/", "", ""),
			script:   inTurn(whole("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+okShort), whole(okShort)),
			statuses: "103 200", saw: "GET / a", kept: true, answer: []string{"link: </a>"}, conns: 1,
		},
		dialogue{
			row: "interim responses", name: "not to HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
			script: answerWith("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okShort), statuses: "200", saw: "GET / a",
		},
		dialogue{
			row: "interim responses", name: "others do not", send: ask("GET", "/", "", ""),
			script:   inTurn(whole(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 8)+okShort), whole(okShort)),
			statuses: "200", saw: "GET / a", kept: true, conns: 1,
		},
	)
}
