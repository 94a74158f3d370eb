package configs

import (
	"strings"
	"testing"
)

// reuseCases are the rows about which connections to backends carry another request.
func reuseCases() []conformanceCase {
	const chunked = okHead + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
	tests := []struct {
		name, method, answer string
		reused               bool
	}{
		{"length", "GET", okShort, true},
		{"chunked", "GET", chunked + "\r\n", true},
		{"chunked with trailers", "GET", chunked + "T: 1\r\n\r\n", true},
		{"with a request body", "POST", okShort, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", true},
		{"HEAD", "HEAD", okHead + "Content-Length: 2\r\n\r\n", true},
		{"behind an interim response", "GET", "HTTP/1.1 102 Processing\r\n\r\n" + okShort, true},
		{"1.0 that says so", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
		{"500", "GET", "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nok", true},
		{"1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		{"close", "GET", okHead + "Connection: X, Close\r\nContent-Length: 2\r\n\r\nok", false},
		{"close wins", "GET", okHead + "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		{"body and surplus", "GET", okShort + "more", false},
		{"body and a smuggled response", "GET", okShort + okHead + "Content-Length: 4\r\n\r\nevil", false},
		{"chunked body and surplus", "GET", chunked + "\r\nmore", false},
	}
	var cases []conformanceCase
	for _, tt := range tests {
		request := ask(tt.method, "/", "", "")
		saw := tt.method + " / a"
		if tt.method == "POST" {
			request, saw = ask("POST", "/", "Content-Length: 5\r\n", "hello"), saw+" hello"
		}
		status := strings.Fields(tt.answer[strings.LastIndex(tt.answer, "HTTP/1."):])[1]
		d := dialogue{
			row: "reuse", name: tt.name, send: strings.Repeat(request, 3), methods: []string{tt.method, tt.method, tt.method},
			script: inTurn(whole(tt.answer), whole(tt.answer), whole(tt.answer), whole(okShort)), kept: true, conns: 1,
			statuses: strings.Join([]string{status, status, status}, " "), saw: strings.Join([]string{saw, saw, saw}, "|"),
		}
		if !tt.reused {
			d.conns = 4
		}
		cases = append(cases, dialogues(d)...)
	}
	return append(cases,
		conformanceCase{row: "look before reuse", name: "closed", over: one, run: lookFirst(func(c *backendConn) { _ = c.Close() })},
		conformanceCase{row: "look before reuse", name: "closed in halves", over: one, run: lookFirst(func(c *backendConn) { _ = c.CloseWrite() })},
		conformanceCase{row: "look before reuse", name: "unasked bytes", over: one, run: lookFirst(func(c *backendConn) {
			_ = c.say(okHead + "Content-Length: 4\r\n\r\nevil")
		})},
	)
}

// lookFirst changes an idle connection to the backend between two requests. The second is a POST, which nobody would repeat.
func lookFirst(change func(c *backendConn)) func(t *testing.T, l *lane) {
	return func(t *testing.T, l *lane) {
		t.Helper()
		answered, changed := make(chan struct{}), make(chan struct{})
		b := l.backends[0]
		b.play(inTurn(func(c *backendConn) bool {
			ok := c.readBody() && c.say(okShort)
			<-answered
			change(c)
			close(changed)
			return ok
		}, whole(okShort)))
		c := l.dial(t)
		c.say(ask("GET", "/first", "", ""))
		c.answer("GET")
		close(answered)
		<-changed
		c.say(ask("POST", "/second", "Content-Length: 0\r\n", ""))
		if m := c.answer("POST"); m.status() != "200" || m.body != "ok" {
			t.Errorf("the second answer is %s %q, want 200 ok", m.status(), m.body)
		}
		if _, conns := l.expectSeen(t, "GET /first a|POST /second a", false); conns != 2 {
			t.Errorf("%d connections, want 2", conns)
		}
	}
}

// retryCases are the rows about requests that are sent once more.
func retryCases() []conformanceCase {
	again := func(name, method, body string, retried bool) dialogue {
		lines, saw := "", method+" / a"
		if method == "POST" || method == "PUT" {
			lines = "Content-Length: 0\r\n"
		}
		if body != "" {
			lines, saw = "Content-Length: 5\r\n", saw+" "+body
		}
		d := dialogue{
			row: "retry on a reused connection", name: name, send: ask("GET", "/first", "", "") + ask(method, "/", lines, body), methods: []string{"GET", method},
			script: inTurn(whole(okShort), thenClose(""), whole(okShort)), kept: true, conns: 2,
			statuses: "200 200", saw: "GET /first a|" + saw + "|" + saw,
		}
		if method == "HEAD" {
			d.conns = 3 // the script's answer has a body
		}
		if !retried {
			d.statuses, d.saw = "200 502", "GET /first a|"+saw
		}
		return d
	}
	oneByte := func(c *backendConn) bool {
		_ = c.readBody() && c.say("H")
		return false
	}
	return append(dialogues(
		again("GET", "GET", "", true), again("HEAD", "HEAD", "", true), again("OPTIONS", "OPTIONS", "", true), again("PUT", "PUT", "", true),
		again("DELETE", "DELETE", "", true), again("not POST", "POST", "", false), again("not PATCH", "PATCH", "", false),
		again("not with a body", "PUT", "hello", false),
		dialogue{
			row: "retry on a reused connection", name: "once", send: ask("GET", "/first", "", "") + ask("GET", "/", "", ""),
			script:   inTurn(whole(okShort), thenClose(""), thenClose(""), whole(okShort)),
			statuses: "200 502", saw: "GET /first a|GET / a|GET / a", kept: true, conns: 3,
		},
		dialogue{
			row: "retry on a reused connection", name: "not on a new one", send: ask("GET", "/", "", ""), script: inTurn(thenClose(""), whole(okShort)),
			statuses: "502", saw: "GET / a", kept: true, conns: 2,
		},
		dialogue{
			row: "no retry after a byte", name: "on a reused connection", send: ask("GET", "/first", "", "") + ask("GET", "/", "", ""),
			script: inTurn(whole(okShort), oneByte, whole(okShort)), statuses: "200 502", saw: "GET /first a|GET / a", kept: true, conns: 2,
		},
		dialogue{
			row: "no retry after a byte", name: "within the head", send: ask("GET", "/first", "", "") + ask("GET", "/", "", ""),
			script:   inTurn(whole(okShort), thenClose("HTTP/1.1 100 Continue\r\n\r\n"+okHead), whole(okShort)),
			statuses: "200 502", saw: "GET /first a|GET / a", kept: true, conns: 2,
		},
	),
		conformanceCase{row: "retry of a connect", name: "on the next URL", over: one, run: nextURL},
		conformanceCase{row: "retry of a connect", name: "no URL left", over: one, run: noURL},
	)
}

// nextURL has requests whose turn a backend is that is away: each goes to the other one.
func nextURL(t *testing.T, l *lane) {
	t.Helper()
	away, there := l.backends[0], l.backends[1]
	away.leave()
	defer away.listen(t)
	c := l.dial(t)
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		c.say(askHost("both", method, "Content-Length: 5\r\n", "hello"))
		if m := c.answer(method); m.status() != "200" {
			t.Errorf("%s = %s, want 200", method, m.status())
		}
	}
	if seen, _, _ := there.finish(); len(seen) != 4 || seen[1].body != "hello" {
		t.Errorf("the other backend saw %d requests, want 4 with their bodies", len(seen))
	}
}

func noURL(t *testing.T, l *lane) {
	t.Helper()
	for _, b := range l.backends {
		b.leave()
		defer b.listen(t)
	}
	c := l.dial(t)
	c.say(askHost("both", "GET", "", "") + lastRequest)
	for range 2 {
		if m := c.answer("GET"); m.status() != "502" {
			t.Errorf("answer %s, want 502", m.status())
		}
	}
}
