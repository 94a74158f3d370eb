package configs

import (
	"io"
	"strings"
	"testing"
)

// switched is a backend's answer that begins a WebSocket.
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// upgradeCases are the rows about WebSockets and early answers.
func upgradeCases() []conformanceCase {
	const noKey = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	ordinary := with(nil, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13")
	stripped := []string{ordinary[4], ordinary[5], added[0], added[1], added[2], added[3]}
	return append(dialogues(
		dialogue{
			row: "websocket", name: "refused by the backend", send: ask("GET", "/", upgrade, ""), script: inTurn(whole("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), whole(okShort)),
			statuses: "403", saw: "GET / a", kept: true, body: "no",
		},
		dialogue{row: "websocket", name: "with a body", send: ask("GET", "/", upgrade+"Content-Length: 5\r\n", "hello"), statuses: "400", kept: true},
		dialogue{row: "websocket", name: "without a key", send: ask("GET", "/", noKey, ""), statuses: "400", kept: true},
		dialogue{
			row: "websocket", name: "with a bad key", send: ask("GET", "/", noKey+"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", ""),
			statuses: "400", kept: true,
		},
		dialogue{
			row: "websocket", name: "of another version", send: ask("GET", "/", strings.Replace(upgrade, "13", "8", 1), ""), statuses: "400", kept: true,
		},
		dialogue{
			row: "websocket", name: "not by POST", send: ask("POST", "/", upgrade+"Content-Length: 0\r\n", ""),
			statuses: "200", saw: "POST / a", kept: true, fields: append([]string{"content-length: 0"}, stripped...),
		},
		dialogue{
			row: "websocket", name: "not by HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\n" + upgrade + "\r\n",
			statuses: "200", saw: "GET / a", fields: stripped,
		},
		dialogue{
			row: "websocket", name: "only where the service allows it", send: askHost("plain", "GET", upgrade, ""),
			statuses: "200", saw: "GET / plain", kept: true,
			fields: []string{stripped[0], stripped[1], added[0], added[1], "x-forwarded-host: plain", added[3]},
		},
		dialogue{
			row: "h2c is stripped", name: "and the request goes on", send: ask("GET", "/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", ""),
			statuses: "200", saw: "GET / a", kept: true, fields: added,
		},
		dialogue{
			row: "unasked 101", name: "is a 502", send: ask("GET", "/", "", ""), script: inTurn(whole(switched), whole(okShort)),
			statuses: "502", saw: "GET / a", kept: true, conns: 2,
		},
		dialogue{
			row: "unasked 101", name: "to another protocol is a 502", send: ask("GET", "/", upgrade, ""),
			script:   inTurn(whole(strings.Replace(switched, "websocket", "h2c", 1)), whole(okShort)),
			statuses: "502", saw: "GET / a", kept: true, conns: 2,
		},
	),
		conformanceCase{row: "websocket", name: "a tunnel", over: one, run: tunnels},
	)
}

// tunnels has bytes go both ways, also those that come early, and wants the connection never to be used again.
func tunnels(t *testing.T, l *lane) {
	t.Helper()
	b := l.backends[0]
	b.play(inTurn(func(c *backendConn) bool {
		_ = c.readBody() && c.say(switched+"early")
		_, _ = io.Copy(c, c.in)
		return false
	}, whole(okShort)))
	c := l.dial(t)
	c.say(ask("GET", "/", upgrade, "") + "sent before the 101")
	if m := c.answer("GET"); m.status() != "101" || m.get("upgrade") != "websocket" || m.get("sec-websocket-accept") == "" {
		t.Fatalf("answer %v, want a switch to websocket", m)
	}
	got := make([]byte, len("early"+"sent before the 101"))
	if _, err := io.ReadFull(c.in, got); err != nil || string(got) != "early"+"sent before the 101" {
		t.Errorf("through the tunnel came %q, %v", got, err)
	}
	c.say("more")
	if _, err := io.ReadFull(c.in, got[:4]); err != nil || string(got[:4]) != "more" {
		t.Errorf("through the tunnel came %q, %v, want more", got[:4], err)
	}
	_ = c.Close()
	b.await(t, "the tunnel to end", func() bool { return len(b.open) == 0 })
	next := l.dial(t)
	next.say(lastRequest)
	if m := next.answer("GET"); m.status() != "200" {
		t.Errorf("a request behind the tunnel = %s, want 200", m.status())
	}
	if seen, conns := l.expectSeen(t, "GET / a|GET /last a", false); conns != 2 || seen[0].get("upgrade") != "websocket" {
		t.Errorf("%d connections, upgrade %q, want 2 and websocket", conns, seen[0].get("upgrade"))
	}
}

// earlyCases are the rows about an answer before the end of the request's body. What is left of it holds a request that must not be seen.
func earlyCases() []conformanceCase {
	const length, chunked = "Content-Length: 65536\r\n", "Transfer-Encoding: chunked\r\n"
	smuggled := ask("GET", "/smuggled", "", "")
	fill := func(n int) string { return strings.Repeat(smuggled, n/len(smuggled)+1)[:n] }
	chunk := func(n string, body string) string { return n + "\r\n" + body + "\r\n0\r\n\r\n" }
	early := func(c *backendConn) bool { // leaves the body
		_ = c.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		c.waitClosed()
		return false
	}
	return append(dialogues(
		dialogue{
			row: "refused before the body", name: "64 KiB are read", send: askHost("guarded", "POST", length, fill(65536)), statuses: "401", kept: true,
		},
		dialogue{
			row: "refused before the body", name: "64 KiB in a chunk", send: askHost("guarded", "POST", chunked, chunk("10000", fill(65536))),
			statuses: "401", kept: true,
		},
		dialogue{
			row: "refused before the body", name: "more are not", send: askHost("guarded", "POST", "Content-Length: 65537\r\n", fill(65537)) + lastRequest,
			statuses: "401",
		},
		dialogue{
			row: "refused before the body", name: "more in a chunk are not", send: askHost("guarded", "POST", chunked, chunk("10001", fill(65537))) + lastRequest,
			statuses: "401",
		},
		dialogue{
			row: "refused before the body", name: "malformed behind the refusal", send: askHost("guarded", "POST", chunked, "zz\r\n"+smuggled) + lastRequest,
			statuses: "401",
		},
		dialogue{
			row: "refused before the body", name: "it does not come for a second", send: askHost("guarded", "POST", "Content-Length: 5\r\n", ""), statuses: "401",
		},
		dialogue{
			row: "answered before the body", name: "the rest is no request", send: ask("POST", "/", "Content-Length: 100000\r\n", fill(50000)),
			script: inTurn(early), statuses: "403", saw: "-", body: "no",
		},
		dialogue{
			row: "answered before the body", name: "by chunks", send: ask("POST", "/", chunked, "186a0\r\n"+fill(50000)),
			script: inTurn(early), statuses: "403", saw: "-", body: "no",
		},
	),
		conformanceCase{row: "answered before the body", name: "the body goes on to the backend", over: one, run: fullDuplex},
	)
}

// fullDuplex has a backend answer piece by piece while it reads.
func fullDuplex(t *testing.T, l *lane) {
	t.Helper()
	l.backends[0].play(inTurn(func(c *backendConn) bool {
		_ = c.say(okHead + "Content-Type: text/event-stream\r\nContent-Length: 10\r\n\r\n")
		var ten [10]byte
		for i := range ten {
			if _, err := io.ReadFull(c.in, ten[i:i+1]); err != nil || !c.say(string(ten[i:i+1])) {
				return false
			}
		}
		return true
	}))
	c := l.dial(t)
	c.say(ask("POST", "/", "Content-Length: 10\r\n", ""))
	m, err := readHead(c.in, statusLine)
	if err != nil || m.status() != "200" {
		t.Fatalf("answer %v, %v, want 200 before the body", m, err)
	}
	for _, b := range "0123456789" {
		c.say(string(b))
		if got, err := c.in.ReadByte(); err != nil || rune(got) != b {
			t.Fatalf("echo %q, %v, want %q", got, err, b)
		}
	}
	c.ended()
}
