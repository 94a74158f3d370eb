package configs

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// reply is what a scripted backend does with the requests of one connection, one call for each. It returns false to have the connection
// closed.
type reply func(c *backendConn) bool

// backendConn is a connection that a scripted backend has accepted.
type backendConn struct {
	*net.TCPConn
	in     *bufio.Reader
	number int // of the connection, since play: from 1
	served int // requests that were answered on it
	script *scripted
	head   *message // of the present request, once it was read
}

// scripted is a backend that plays a script and writes down what it gets.
type scripted struct {
	address  string
	listener net.Listener
	done     sync.WaitGroup // accepts
	serving  sync.WaitGroup // connections

	mu     sync.Mutex
	script reply
	open   map[*net.TCPConn]struct{}
	conns  int             // since play
	seen   []*message      // whole requests
	part   []string        // what began as a request and ended too early, or was none
	woken  chan struct{}   // closed at the next event
	mark   chan struct{}   // gets a value when a marker connection was accepted
	from   map[string]bool // local addresses of markers
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	s := &scripted{address: freeAddress(t), open: map[*net.TCPConn]struct{}{}, mark: make(chan struct{}), from: map[string]bool{}, woken: make(chan struct{})}
	s.listen(t)
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.done.Wait()
		s.cut()
	})
	return s
}

func (s *scripted) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.listener = l
	s.done.Go(func() { s.accept(l) })
}

// leave closes the port. What listens again takes the same one.
func (s *scripted) leave() {
	_ = s.listener.Close()
	s.done.Wait()
	s.cut()
}

func (s *scripted) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if c := conn.(*net.TCPConn); !s.isMarker(c) {
			s.begin(c)
		}
	}
}

// isMarker ends a connection that flush made.
func (s *scripted) isMarker(c *net.TCPConn) bool {
	s.mu.Lock()
	marker := s.from[c.RemoteAddr().String()]
	s.mu.Unlock()
	if marker {
		_ = c.Close()
		s.mark <- struct{}{}
	}
	return marker
}

func (s *scripted) begin(c *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	s.conns++
	b := &backendConn{TCPConn: c, in: bufio.NewReader(c), number: s.conns, script: s}
	s.wakeLocked()
	s.serving.Go(func() { b.serve() })
}

func (s *scripted) wakeLocked() {
	close(s.woken)
	s.woken = make(chan struct{})
}

// play makes the backend forget what was, with every connection, and answer by a script from now on.
func (s *scripted) play(r reply) {
	s.flush()
	s.cut()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.conns, s.seen, s.part = r, 0, nil, nil
}

// flush waits until every connection that was made is accepted.
func (s *scripted) flush() {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	s.mu.Lock() // an accepted marker is looked up behind this
	conn, err := d.Dial("tcp", s.address)
	if err != nil { // the backend is away
		s.mu.Unlock()
		return
	}
	s.from[conn.LocalAddr().String()] = true
	s.mu.Unlock()
	<-s.mark
	s.mu.Lock()
	delete(s.from, conn.LocalAddr().String())
	s.mu.Unlock()
	_ = conn.Close()
}

// cut closes every connection and waits for who serves them.
func (s *scripted) cut() {
	s.mu.Lock()
	for c := range s.open {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// finish reads all that has come and returns it.
func (s *scripted) finish() (seen []*message, part []string, conns int) {
	s.flush()
	s.mu.Lock()
	for c := range s.open {
		_ = c.CloseRead() // what is here can still be read
	}
	s.mu.Unlock()
	s.serving.Wait()
	return s.seen, s.part, s.conns
}

// await returns once the script has come so far; what may look at s.seen and s.conns.
func (s *scripted) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		s.mu.Lock()
		ok, woken := holds(), s.woken
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-woken:
		case <-late.C:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func (c *backendConn) serve() {
	s := c.script
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c.TCPConn)
		s.wakeLocked()
	}()
	s.mu.Lock()
	r := s.script
	s.mu.Unlock()
	for r(c) {
		c.served++
	}
}

// readHead reads the head of the next request; false: there is none.
func (c *backendConn) readHead() bool {
	m, err := readHead(c.in, requestLine)
	c.head = m
	if err != nil {
		c.note(nil, m, err)
	}
	return err == nil
}

// readBody reads the rest of the request, which is written down then.
func (c *backendConn) readBody() bool {
	err := c.head.readBody(c.in, false)
	c.note(c.head, c.head, err)
	return err == nil
}

func (c *backendConn) note(whole, got *message, err error) {
	s := c.script
	s.mu.Lock()
	defer s.mu.Unlock()
	_, nothing := err.(*net.OpError) //nolint:errorlint // of the connection itself; within a line it is io.ErrUnexpectedEOF
	switch {
	case err == nil:
		s.seen = append(s.seen, whole)
	case errors.Is(err, io.EOF), got == nil && nothing:
		return
	case got == nil:
		s.part = append(s.part, "? "+err.Error())
	default:
		s.part = append(s.part, got.start+" "+err.Error())
	}
	s.wakeLocked()
}

// say writes bytes as they are.
func (c *backendConn) say(text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// waitClosed waits until the other side closes.
func (c *backendConn) waitClosed() {
	_, _ = io.Copy(io.Discard, c.in)
}

// answer reads each request whole and answers it with text.
func answerWith(text string) reply {
	return func(c *backendConn) bool { return c.readHead() && c.readBody() && c.say(text) }
}

const (
	okHead  = "HTTP/1.1 200 OK\r\n"
	okEmpty = okHead + "Content-Length: 0\r\n\r\n"
	okShort = okHead + "Content-Length: 2\r\n\r\nok"
)

var answerOK = answerWith(okShort)
