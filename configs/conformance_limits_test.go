package configs

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limitCases are the rows about time and number. Settings are lowered; how long things take is not looked at.
func limitCases() []conformanceCase {
	const event = "d\r\ndata: first\n\n\r\n"
	const stream = okHead + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + event
	part := saysOnly(okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	slow := func(c *backendConn) bool {
		return c.readBody() && c.say(stream) && c.pause() && c.say(event+"0\r\n\r\n")
	}
	return append(dialogues(
		dialogue{row: "head time", name: "of a part", setup: quick, send: "GET / HTTP/1.1\r\nHo", statuses: "408"},
		dialogue{row: "head time", name: "of nothing", setup: quick},
		dialogue{row: "head time", name: "of a part of the second", setup: quick, send: ask("GET", "/", "", "") + "GET ", statuses: "200 408", saw: "GET / a"},
		dialogue{row: "body time", name: "by length", setup: quick, send: ask("POST", "/", "Content-Length: 10\r\n", "hello"), statuses: "408", begun: true},
		dialogue{
			row: "body time", name: "by chunks", setup: quick, send: ask("POST", "/", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n5"),
			statuses: "408", begun: true,
		},
		dialogue{row: "idle client", name: "behind an answer", setup: quick, send: ask("GET", "/", "", ""), statuses: "200", saw: "GET / a"},
		dialogue{
			row: "requests of a connection", name: "the last says so", setup: few,
			send: ask("GET", "/1", "", "") + ask("GET", "/2", "", "") + ask("GET", "/3", "", ""), statuses: "200 200", saw: "GET /1 a|GET /2 a",
		},
		dialogue{row: "time to the first byte", name: "of a backend", setup: quick, send: ask("GET", "/", "", ""), script: inTurn(saysOnly("")), statuses: "504", saw: "GET / a"},
		dialogue{
			row: "time between reads", name: "of a backend", setup: quick, send: ask("GET", "/", "", ""), script: inTurn(part),
			statuses: "200", saw: "GET / a", aborted: true,
		},
		dialogue{row: "time of a service", name: "without an answer", send: askHost("bounded", "GET", "", ""), script: inTurn(saysOnly(""), whole(okShort)), statuses: "504", saw: "GET / bounded", kept: true},
		dialogue{row: "time of a service", name: "within an answer", send: askHost("bounded", "GET", "", ""), script: inTurn(part), statuses: "200", saw: "GET / bounded", aborted: true},
		dialogue{
			row: "streams", name: "may be silent for longer than others", setup: quick, send: ask("GET", "/", "", ""), script: inTurn(slow),
			statuses: "200", saw: "GET / a", body: "data: first\n\ndata: first\n\n",
		},
		dialogue{row: "streams", name: "idle for too long", send: askHost("streaming", "GET", "", ""), script: inTurn(saysOnly(stream)), statuses: "200", saw: "GET / streaming", aborted: true},
		dialogue{
			row: "time to connect", name: "a handshake", setup: soon, send: askHost("secure", "GET", "Connection: close\r\n", ""),
			script: func(c *backendConn) bool { c.waitClosed(); return false }, statuses: "504", saw: "-",
		},
	),
		conformanceCase{row: "streams", name: "a tunnel that is idle for too long", over: one, run: idleTunnel},
		conformanceCase{row: "idle backend", name: "is closed", over: one, setup: soon, run: idleBackend},
		conformanceCase{row: "body time", name: "a large one that goes on coming", over: one, setup: calm, run: steady},
		conformanceCase{row: "idle connections to backends", name: "one more than are kept", over: one, setup: lean, run: oneIdle},
		conformanceCase{row: "age of a connection", name: "the last answer says so", over: one, setup: brief, run: aged},
		conformanceCase{row: "connections of a listener", name: "one too many", over: one, setup: few, run: oneTooMany},
		conformanceCase{row: "client gone", name: "closed", over: one, run: gone("", func(c *caller) { _ = c.Close() })},
		conformanceCase{row: "client gone", name: "reset", over: one, run: gone("", func(c *caller) { _ = c.SetLinger(0); _ = c.Close() })},
		conformanceCase{row: "client gone", name: "an end of stream counts", over: one, run: gone("", func(c *caller) { _ = c.CloseWrite() })},
		conformanceCase{row: "client gone behind pipelined bytes", name: "closed", over: one, run: gone(lastRequest, func(c *caller) { _ = c.CloseWrite() })},
		conformanceCase{row: "client gone", name: "within the answer", over: one, run: goneInBody},
	)
}

// pause waits for longer than the quick setup's limits.
func (c *backendConn) pause() bool {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	return true
}

func idleTunnel(t *testing.T, l *lane) {
	t.Helper()
	l.backends[0].play(inTurn(saysOnly(switched)))
	c := l.dial(t)
	c.say(askHost("streaming", "GET", upgrade, ""))
	if m := c.answer("GET"); m.status() != "101" {
		t.Fatalf("answer %s, want 101", m.status())
	}
	if _, err := io.ReadAll(c.in); isTimeout(err) {
		t.Error("the tunnel goes on")
	}
}

func idleBackend(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial(t)
	c.say(ask("GET", "/", "", ""))
	c.answer("GET")
	b := l.backends[0]
	b.await(t, "the idle connection to be closed", func() bool { return b.conns == 1 && len(b.open) == 0 })
}

// steady takes longer for its body than a client may be silent, but never is.
func steady(t *testing.T, l *lane) {
	t.Helper()
	const pieces, piece = 100, 1000
	c := l.dial(t)
	c.say(ask("POST", "/", fmt.Sprintf("Content-Length: %d\r\n", pieces*piece), ""))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	body := strings.Repeat("a", pieces*piece)
	for i := range pieces {
		<-tick.C
		c.say(body[i*piece : (i+1)*piece])
	}
	if m := c.answer("POST"); m.status() != "200" {
		t.Errorf("answer %s, want 200", m.status())
	}
	l.expectSeen(t, "POST / a "+body, false)
}

// oneIdle has two requests at a time, whose connections cannot both be kept.
func oneIdle(t *testing.T, l *lane) {
	t.Helper()
	b := l.backends[0]
	both := make(chan struct{})
	b.play(inTurn(func(c *backendConn) bool { <-both; return c.readBody() && c.say(okShort) }))
	callers := []*caller{l.dial(t), l.dial(t)}
	for _, c := range callers {
		c.say(ask("GET", "/", "", ""))
	}
	b.await(t, "two connections", func() bool { return b.conns == 2 })
	close(both)
	for _, c := range callers {
		c.answer("GET")
	}
	b.await(t, "one of the two to be closed", func() bool { return len(b.open) == 1 })
}

// aged asks until the connection is so old that an answer is its last.
func aged(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial(t)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		c.say(ask("GET", "/", "", ""))
		m := c.answer("GET")
		if m.get("connection") == "close" {
			if n == 0 {
				t.Error("the first answer is the last already")
			}
			break
		}
		<-tick.C
	}
	c.ended()
}

// oneTooMany has two connections, which is all there may be, and wants another one to be refused.
func oneTooMany(t *testing.T, l *lane) {
	t.Helper()
	for held := 0; held < 2; { // those of the case before may not be counted out yet
		c := l.dial(t)
		c.say(ask("GET", "/", "", ""))
		if _, err := c.in.Peek(1); err == nil {
			held++
		}
	}
	c := l.dial(t)
	c.say(ask("GET", "/", "", ""))
	if got, err := io.ReadAll(c.in); len(got) > 0 || isTimeout(err) {
		t.Errorf("the third connection is answered with %.50q, %v, want none", got, err)
	}
}

// canceled is how many requests of the service that takes all were ended by their clients.
func (l *lane) canceled(t *testing.T) int {
	t.Helper()
	page, err := l.fleet.try(l.data.admin, "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	const name = `gateway_proxy_canceled_total{service="all"} `
	_, rest, found := strings.Cut(page.body, name)
	value, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(value)
	if !found || err != nil {
		t.Fatalf("no %s: %v", name, err)
	}
	return n
}

// gone is a client that leaves while the backend works. behind is what it has sent behind its request.
func gone(behind string, leave func(c *caller)) func(t *testing.T, l *lane) {
	return func(t *testing.T, l *lane) {
		t.Helper()
		before := l.canceled(t)
		b := l.backends[0]
		b.play(inTurn(saysOnly("")))
		c := l.dial(t)
		c.say(ask("GET", "/", "", "") + behind)
		b.await(t, "the request to come", func() bool { return len(b.seen) == 1 })
		leave(c)
		l.expectGone(t, before)
		if answers, _ := readAnswers(c.in); len(answers) > 0 {
			t.Errorf("answers %q, want none", statuses(answers))
		}
	}
}

// expectGone waits until the backend's connection has been closed and the request counted.
func (l *lane) expectGone(t *testing.T, before int) {
	t.Helper()
	b := l.backends[0]
	b.await(t, "the backend's request to end", func() bool { return len(b.open) == 0 })
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if now := l.canceled(t); now == before+1 {
			break
		}
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("gateway_proxy_canceled_total is %d, want %d", l.canceled(t), before+1)
		}
	}
	l.expectSeen(t, "GET / a", false)
}

func goneInBody(t *testing.T, l *lane) {
	t.Helper()
	before := l.canceled(t)
	l.backends[0].play(inTurn(saysOnly(okHead + "Content-Type: text/event-stream\r\n\r\ndata: first\n\n")))
	c := l.dial(t)
	c.say(ask("GET", "/", "", ""))
	if _, err := readHead(c.in, statusLine); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	l.expectGone(t, before)
}
