package configs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dialogue is a case on one HTTP/1.1 connection: what the client sends at once, what the backend answers, and what both see.
type dialogue struct {
	row, name string
	setup     setup
	send      string
	methods   []string // of the requests in send; nil: each is a GET, or answered as one
	half      bool     // the client ends its side behind send
	script    reply    // nil: answerOK
	begun     bool     // the backend may have got one request in part

	statuses string   // wanted, 100 left out
	saw      string   // wanted, as in the corpus; "-": not looked at
	kept     bool     // the connection goes on: one more request is answered with 200
	aborted  bool     // the connection does not end cleanly, or within a message
	conns    int      // to the backend; 0: not looked at
	fields   []string // of the first request at the backend, sorted, without Host and a request id that the gateway made; nil: not looked at
	answer   []string // of the first answer, sorted, without Date; nil: not looked at
	body     string   // of the last answer; "": not looked at
}

func dialogues(all ...dialogue) (cases []conformanceCase) {
	for _, d := range all {
		cases = append(cases, conformanceCase{row: d.row, name: d.name, over: one, setup: d.setup, run: d.run})
	}
	return cases
}

var madeID = regexp.MustCompile(`^x-request-id: [0-9a-f]{32}$`)

func (d *dialogue) run(t *testing.T, l *lane) {
	t.Helper()
	if d.script != nil {
		l.backends[0].play(d.script)
	}
	c := l.dial(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.say(d.send)
		if d.kept {
			c.say(lastRequest)
		}
		if d.half {
			_ = c.CloseWrite()
		}
	}()
	answers, err := readAnswers(c.in, d.methods...)
	_ = c.Close()
	<-done
	d.checkAnswers(t, answers, err)
	d.checkBackend(t, l)
}

func (d *dialogue) checkAnswers(t *testing.T, answers []*message, err error) {
	t.Helper()
	want := d.statuses
	if d.kept {
		want = strings.TrimPrefix(want+" 200", " ")
	}
	if got := statuses(answers); got != want {
		t.Errorf("answers %q, want %q", got, want)
	}
	if isTimeout(err) || (err != nil) != d.aborted {
		t.Errorf("the connection ends with %v, want an error: %v", err, d.aborted)
	}
	if d.kept && len(answers) > 0 {
		answers = answers[:len(answers)-1]
	}
	if len(answers) == 0 {
		return
	}
	if d.answer != nil {
		if diff := cmp.Diff(d.answer, answers[0].headers("date")); diff != "" {
			t.Errorf("headers of the answer (-want +got):\n%s", diff)
		}
	}
	if got := answers[len(answers)-1].body; d.body != "" && got != d.body {
		t.Errorf("body %.200q, want %.200q", got, d.body)
	}
}

func (d *dialogue) checkBackend(t *testing.T, l *lane) {
	t.Helper()
	want := d.saw
	if d.kept {
		want = strings.TrimPrefix(want+"|GET /last a", "|")
	}
	if d.saw == "-" {
		return
	}
	seen, conns := l.expectSeen(t, want, d.begun)
	if d.conns != 0 && conns != d.conns {
		t.Errorf("%d connections to the backend, want %d", conns, d.conns)
	}
	if d.fields != nil && len(seen) > 0 {
		got := slices.DeleteFunc(seen[0].headers("host"), madeID.MatchString)
		if diff := cmp.Diff(d.fields, got); diff != "" {
			t.Errorf("headers at the backend (-want +got):\n%s", diff)
		}
	}
}

// inTurn answers the first request of all connections by the first reply, and so on; the last one goes on.
func inTurn(replies ...reply) reply {
	next := make(chan int, 1)
	next <- 0
	return func(c *backendConn) bool {
		if !c.readHead() {
			return false
		}
		n := <-next
		next <- n + 1
		return replies[min(n, len(replies)-1)](c)
	}
}

// whole is answerWith for a request whose head was read; thenClose ends the connection behind it.
func whole(text string) reply {
	return func(c *backendConn) bool { return c.readBody() && c.say(text) }
}

func thenClose(text string) reply {
	return func(c *backendConn) bool {
		_ = c.readBody() && c.say(text)
		return false
	}
}

// saysOnly is whole, and then silence until the connection ends.
func saysOnly(text string) reply {
	return func(c *backendConn) bool {
		_ = c.readBody() && c.say(text)
		c.waitClosed()
		return false
	}
}

// ask is a request for host a.
func ask(method, path, lines, body string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" + body
}

// askHost is a request for another service.
func askHost(host, method, lines, body string) string {
	return method + " / HTTP/1.1\r\nHost: " + host + "\r\n" + lines + "\r\n" + body
}
