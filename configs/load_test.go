package configs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// connection asks on one connection, and never repeats a request.
type connection interface {
	// get returns the status, and whether the answer ends the connection.
	get(path, key string) (status int, last bool, err error)
	close()
}

// errNotTaken says that the gateway ended the connection and had told that it would not take this request: it is no failure to ask again.
var errNotTaken = errors.New("request not taken")

// client is one kept-alive connection. Unlike http.Client it never repeats a request, and so hides nothing.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(address string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// get asks for a path and returns the status, and whether the answer ends the connection.
func (c *client) get(path, key string) (status int, last bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, true, err
	}
	if err := c.send(path, key, ""); err != nil {
		return 0, true, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, true, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Close, err
}

// send writes a request, with more header lines if there are any.
func (c *client) send(path, key, more string) error {
	_, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: gateway\r\nX-API-KEY: %s\r\n%s\r\n", path, key, more)
	return err
}

// load is clients that go on asking. Whatever is not answered with 200 is a failure.
type load struct {
	address, path, key string
	fresh              bool // a new connection for each request
	dial               func(address string) (connection, error)
	ending             chan struct{} // closed: no more requests
	leaving            chan struct{} // closed: who is told to close its connection does not come back
	done               sync.WaitGroup

	mu       sync.Mutex
	answered int
	failures []string
}

// pace is the pause between two requests of one client.
const pace = 2 * time.Millisecond

// startLoad starts clients, each with a connection of its own. They end with the test.
func startLoad(t *testing.T, clients int, p *plane, path, key string) *load {
	t.Helper()
	return newLoad(p, path, key).start(t, clients)
}

// startFreshLoad starts clients that make a new connection for each request.
func startFreshLoad(t *testing.T, clients int, p *plane, path, key string) *load {
	t.Helper()
	l := newLoad(p, path, key)
	l.fresh = true
	return l.start(t, clients)
}

// startHTTP2Load starts clients that speak HTTP/2, each on a connection of its own, one request after the other.
func startHTTP2Load(t *testing.T, clients int, p *plane, path, key string) *load {
	t.Helper()
	l := newLoad(p, path, key)
	l.dial = dialHTTP2
	return l.start(t, clients)
}

func newLoad(p *plane, path, key string) *load {
	dial1 := func(address string) (connection, error) { return dial(address) }
	return &load{address: p.public, path: path, key: key, dial: dial1, ending: make(chan struct{}), leaving: make(chan struct{})}
}

func (l *load) start(t *testing.T, clients int) *load {
	t.Helper()
	for range clients {
		l.done.Go(l.work)
	}
	t.Cleanup(func() { l.stop() })
	return l
}

// stop ends the clients and returns how many requests were answered, and what failed. It may be called again.
func (l *load) stop() (answered int, failures []string) {
	l.mu.Lock()
	select {
	case <-l.ending:
	default:
		close(l.ending)
	}
	l.mu.Unlock()
	l.done.Wait()
	return l.answered, l.failures
}

// count is how many requests were answered so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

func (l *load) work() {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var c connection
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for {
		select {
		case <-l.ending:
			return
		case <-tick.C:
		}
		if c == nil {
			var err error
			if c, err = l.dial(l.address); err != nil {
				c = nil // not a nil of another type
				l.note(err.Error())
				continue
			}
		}
		status, last, err := c.get(l.path, l.key)
		switch {
		case errors.Is(err, errNotTaken):
		case err != nil:
			l.note(err.Error())
		case status != http.StatusOK:
			l.note(fmt.Sprintf("status %d", status))
		default:
			l.note("")
		}
		if !last && !l.fresh {
			continue
		}
		c.close()
		c = nil
		select {
		case <-l.leaving:
			return
		default:
		}
	}
}

func (c *client) close() {
	if c != nil {
		_ = c.conn.Close()
	}
}

// note counts an answer, or keeps what failed.
func (l *load) note(failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failure == "" {
		l.answered++
		return
	}
	l.failures = append(l.failures, time.Now().Format("05.000 ")+failure)
}

// endLoad stops a load that must not have failed.
func endLoad(t *testing.T, l *load) {
	t.Helper()
	answered, failures := l.stop()
	if len(failures) > 0 || answered == 0 {
		t.Errorf("%s: %d requests failed and %d were answered, want none and some: %q", l.path, len(failures), answered, failures[:min(5, len(failures))])
	}
}
