package configs

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setup is a configuration that cases need.
type setup string

// The setups. Every service is told by its host; the rest goes to one that takes all paths.
const (
	usual   setup = ""
	quick   setup = "listener: {head_timeout: 50ms, body_timeout: 50ms, idle_timeout: 50ms}\ntransport: {first_byte_timeout: 50ms, read_timeout: 50ms}\n"
	soon    setup = "transport: {connect_timeout: 50ms, tls_handshake_timeout: 50ms, idle_timeout: 20ms}\n"
	trusted setup = "trusted_proxies: [127.0.0.1]\nunderscore_headers: pass\n"
	few     setup = "listener: {max_requests: 2, max_connections: 2}\n"
	lean    setup = "transport: {max_idle: 1, max_idle_per_host: 1}\n"
	calm    setup = "listener: {body_timeout: 1s}\n"
	brief   setup = "listener: {max_age: 1s}\n"
)

// configure writes a setup's file: what host a service has, and what is particular about it.
func configure(s setup, backends []*scripted) string {
	urls := func(scheme, base string, some ...*scripted) string {
		var all []string
		for _, b := range some {
			all = append(all, scheme+"://"+b.address+base)
		}
		return strings.Join(all, ", ")
	}
	b := strings.Builder{}
	b.WriteString(string(s))
	b.WriteString("middleware_config:\n  auth_apikey: {valid_keys: [{name: tester, key: " + fileKey + "}]}\nservices:\n")
	add := func(name, pattern, urls, more string) {
		fmt.Fprintf(&b, "  - {name: %s, route_pattern: %q, urls: [%s], cb_failure_threshold: 1000000%s}\n", name, pattern, urls, more)
	}
	one := urls("http", "", backends[0])
	add("all", "/", one, "")
	add("guarded", "guarded/", one, ", middleware: [auth_apikey]")
	add("small", "small/", one, ", max_body: 10")
	add("plain", "plain/", one, ", websocket: false")
	add("rehosted", "rehosted/", urls("http", "/base", backends[0]), ", host: upstream")
	add("bounded", "bounded/", one, ", timeout: 50ms")
	add("streaming", "streaming/", one, ", stream_idle_timeout: 50ms")
	add("secure", "secure/", urls("https", "", backends[0]), "")
	add("h2c", "h2c/", urls("h2c", "", backends[0]), "")
	add("both", "both/", urls("http", "", backends...), "")
	return b.String()
}

// lane is a data plane of its own with two backends, for one case at a time.
type lane struct {
	fleet    *fleet
	data     *plane
	backends []*scripted // most services have the first one only
}

func newLane(t *testing.T, s setup) *lane {
	t.Helper()
	l := &lane{fleet: newFleet(t), backends: []*scripted{newScripted(t), newScripted(t)}}
	l.fleet.write(configure(s, l.backends))
	l.fleet.startControl()
	l.data = l.fleet.startData("a")
	l.fleet.awaitServing()
	return l
}

// lanes are those that cases share.
type lanes map[setup]chan *lane

// newLanes starts lanes for the setups that cases need, and so many of the usual one as cases can use at a time.
func newLanes(t *testing.T, cases []conformanceCase) lanes {
	t.Helper()
	all := lanes{}
	for _, c := range cases {
		if all[c.setup] != nil {
			continue
		}
		n := 1
		if c.setup == usual {
			n = runtime.GOMAXPROCS(0)
		}
		all[c.setup] = make(chan *lane, n)
		for range n {
			all[c.setup] <- newLane(t, c.setup)
		}
	}
	return all
}

// caller is a client's connection to a lane's data plane.
type caller struct {
	t *testing.T
	*net.TCPConn
	in *bufio.Reader
}

func (l *lane) dial(t *testing.T) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", l.data.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &caller{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// send writes text, so many bytes at a time; what the server does not want to hear is no error.
func (c *caller) send(text string, piece int) {
	for rest := text; rest != ""; {
		n := min(piece, len(rest))
		if _, err := c.Write([]byte(rest[:n])); err != nil {
			return
		}
		rest = rest[n:]
	}
}

// say is send in one write.
func (c *caller) say(text string) { c.send(text, len(text)) }

// answer reads one final answer to a request of that method.
func (c *caller) answer(method string) *message {
	c.t.Helper()
	for {
		m, err := readHead(c.in, statusLine)
		if err != nil {
			c.t.Fatalf("answer: %v", err)
		}
		if s := m.status(); s[0] == '1' && s != "101" {
			continue
		} else if s == "101" || s == "204" || s == "304" || method == "HEAD" {
			return m
		}
		if err := m.readBody(c.in, true); err != nil {
			c.t.Fatalf("body of the answer: %v", err)
		}
		return m
	}
}

// ended wants the connection to be at its end.
func (c *caller) ended() {
	c.t.Helper()
	if rest, err := c.in.ReadString(0); rest != "" || isTimeout(err) {
		c.t.Errorf("behind the last answer: %.100q, %v, want the end of the connection", rest, err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // as the connection returns it
	return ok && timeout.Timeout()
}

// expectSeen compares what the first backend got whole, and wants nothing in part unless begun.
func (l *lane) expectSeen(t *testing.T, want string, begun bool) (seen []*message, conns int) {
	t.Helper()
	seen, part, conns := l.backends[0].finish()
	var got []string
	for _, m := range seen {
		got = append(got, m.brief(l.backends[0].address))
	}
	if diff := cmp.Diff(want, strings.Join(got, "|")); diff != "" {
		t.Errorf("the backend saw (-want +got):\n%s", diff)
	}
	if len(part) > 0 && !begun || len(part) > 1 {
		t.Errorf("the backend saw something in part: %q", part)
	}
	return seen, conns
}
