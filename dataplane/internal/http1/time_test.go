package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections within the process, whose time is the test's.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.accept:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(tb testing.TB) net.Conn {
	tb.Helper()
	ours, theirs := net.Pipe()
	tb.Cleanup(func() { ours.Close() })
	p.accept <- theirs
	return ours
}

func write(tb testing.TB, w io.Writer, text string) {
	tb.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		tb.Fatal(err)
	}
}

// about reports whether a wait since start took as long as it should, a tick more at most.
func about(tb testing.TB, what string, start time.Time, want time.Duration) {
	tb.Helper()
	if got := time.Since(start); got < want || got > want+3*tick {
		tb.Errorf("%s after %v, want %v", what, got, want)
	}
}

// serveBubble starts s in the bubble that t runs in.
func serveBubble(t *testing.T, s *Server) *pipes {
	t.Helper()
	p := newPipes()
	serveOn(t, s, p)
	return p
}

func nothing() handler { return func(http.ResponseWriter, *http.Request) {} }

func TestHeadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serveBubble(t, &Server{Handler: nothing()})
		nc, start := p.dial(t), time.Now()
		if got, err := io.ReadAll(nc); err != nil || len(got) > 0 {
			t.Errorf("silent connection: %q, %v, want its end", got, err)
		}
		about(t, "silent connection ended", start, 10*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		p := serveBubble(t, &Server{Handler: nothing()})
		nc, start := p.dial(t), time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 30 { // a byte now and then does not help
				time.Sleep(time.Second)
				if _, err := io.WriteString(nc, "G"); err != nil {
					return
				}
			}
		})
		got, err := io.ReadAll(nc)
		if err != nil || statuses(string(got)) != "408" || !strings.Contains(string(got), "Connection: close") {
			t.Errorf("slow head: %q, %v, want a 408 and the end", got, err)
		}
		about(t, "slow head ended", start.Add(time.Second), 10*time.Second)
		nc.Close()
		wg.Wait()
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serveBubble(t, &Server{Handler: nothing()})
		nc := p.dial(t)
		write(t, nc, simple) // a pipe: returns once it is read
		start := time.Now()
		if got, err := io.ReadAll(nc); err != nil || statuses(string(got)) != "200" {
			t.Errorf("idle connection: %q, %v, want one answer and the end", got, err)
		}
		about(t, "idle connection ended", start, time.Minute)
	})
}

// bodyError sends a request and pieces of its body, one a second, and returns when and how reading it failed.
func bodyError(t *testing.T, prepare func(w http.ResponseWriter), head string, pieces int) (after time.Duration, err error) {
	t.Helper()
	errs := make(chan error, 1)
	s := &Server{Handler: handler(func(w http.ResponseWriter, r *http.Request) {
		if prepare != nil {
			prepare(w)
		}
		start := time.Now()
		_, err := io.Copy(io.Discard, r.Body)
		after = time.Since(start)
		errs <- err
	})}
	synctest.Test(t, func(t *testing.T) {
		errs = make(chan error, 1)
		p := serveBubble(t, s)
		nc := p.dial(t)
		go func() { _, _ = io.Copy(io.Discard, nc) }() // the answer is not looked at
		write(t, nc, head)
		for range pieces {
			time.Sleep(time.Second)
			if _, err := io.WriteString(nc, strings.Repeat("x", 100)); err != nil {
				break
			}
		}
		err = <-errs
		nc.Close()
	})
	return after, err
}

func TestBodyTimeouts(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n"
	tests := []struct {
		name    string
		prepare func(w http.ResponseWriter)
		head    string
		pieces  int
		want    error
		after   time.Duration
	}{
		{"silent", nil, head + "\r\n", 0, ErrBodyTimeout, 30 * time.Second},
		{"silent later", nil, head + "\r\n", 5, ErrBodyTimeout, 35 * time.Second},
		{"slow", nil, head + "\r\n", 60, ErrBodyTooSlow, 11 * time.Second},
		{"slow gRPC may be", nil, head + "Content-Type: application/grpc+proto\r\n\r\n", 90, nil, 90 * time.Second},
		{"deadline of the handler's", func(w http.ResponseWriter) {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(40 * time.Second)); err != nil {
				t.Error(err)
			}
		}, head + "\r\n", 0, context.DeadlineExceeded, 40 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after, err := bodyError(t, tt.prepare, tt.head, tt.pieces)
			if tt.want == context.DeadlineExceeded { //nolint:errorlint // stands for any time-out in the table
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("body: %v, want a time-out", err)
				}
			} else if !errors.Is(err, tt.want) {
				t.Errorf("body: %v, want %v", err, tt.want)
			}
			if after < tt.after || after > tt.after+3*tick {
				t.Errorf("body ended after %v, want %v", after, tt.after)
			}
		})
	}
}

func TestWriteTimeout(t *testing.T) {
	errs := make(chan error, 1)
	var start time.Time
	s := &Server{Handler: handler(func(w http.ResponseWriter, _ *http.Request) {
		start = time.Now()
		_, err := w.Write(make([]byte, 100<<10))
		errs <- err
	})}
	synctest.Test(t, func(t *testing.T) {
		errs = make(chan error, 1)
		p := serveBubble(t, s)
		write(t, p.dial(t), simple)
		var timeout net.Error
		if err := <-errs; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("Write to a client that does not read: %v, want a time-out", err)
		}
		about(t, "Write ended", start, time.Minute)
	})
}

func TestShutdown(t *testing.T) {
	s := &Server{Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(20 * time.Second) // in a bubble
		}
	})}
	synctest.Test(t, func(t *testing.T) {
		p := serveBubble(t, s)
		idle, busy, next := p.dial(t), p.dial(t), p.dial(t)
		write(t, busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		write(t, next, simple)
		buf := make([]byte, 1<<10)
		if _, err := next.Read(buf); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if open, busy := s.Count(); open != 3 || busy != 1 {
			t.Errorf("Count = %d, %d, want 3 and 1", open, busy)
		}
		start, shut := time.Now(), make(chan error, 1)
		go func() { shut <- s.Shutdown(t.Context()) }()
		time.Sleep(2 * time.Second)
		write(t, next, simple)
		if got, err := io.ReadAll(next); err != nil || !strings.Contains(string(got), "Connection: close") {
			t.Errorf("next answer: %q, %v, want the last", got, err)
		}
		about(t, "connection with one more request ended", start, 2*time.Second)
		if got, err := io.ReadAll(idle); err != nil || len(got) > 0 {
			t.Errorf("idle connection: %q, %v, want its end", got, err)
		}
		about(t, "idle connection ended", start, 5*time.Second)
		if got, err := io.ReadAll(busy); err != nil || statuses(string(got)) != "200" {
			t.Errorf("slow request: %q, %v, want its answer", got, err)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		about(t, "Shutdown ended", start, 20*time.Second)
	})
}

func TestClose(t *testing.T) {
	ended := make(chan error, 1)
	s := &Server{}
	s.Handler = handler(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	})
	synctest.Test(t, func(t *testing.T) {
		ended = make(chan error, 1)
		p := serveBubble(t, s)
		p.dial(t)
		write(t, p.dial(t), simple)
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
		}
		if n := s.Close(); n != 1 {
			t.Errorf("Close = %d, want the one request that was served", n)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("its context's cause: %v, want %v", err, http.ErrServerClosed)
		}
	})
}

func TestGoneIsNoticedWithinASecond(t *testing.T) {
	var ended chan time.Time
	s := &Server{Handler: handler(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- time.Now()
	})}
	synctest.Test(t, func(t *testing.T) {
		ended = make(chan time.Time, 1)
		p := serveBubble(t, s)
		nc := p.dial(t)
		write(t, nc, simple)
		time.Sleep(10*time.Second + tick/3)
		left := time.Now()
		nc.Close()
		if took := (<-ended).Sub(left); took < 0 || took > time.Second {
			t.Errorf("noticed after %v, want a second at most", took)
		}
	})
}
