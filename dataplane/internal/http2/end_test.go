package http2

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// goAway returns the frame that ends the connection, and how long it took.
func goAway(t *testing.T, p *peer, since time.Time) (code uint32, after time.Duration) {
	t.Helper()
	f, ok := p.until(typeGoAway)
	if !ok {
		t.Fatal("the connection ended without GOAWAY")
	}
	after = time.Since(since)
	for range p.frames { // until it is closed
	}
	return f.code(), after
}

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// A connection ends with GOAWAY NO_ERROR and then by itself.
func TestConnectionEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		set   Settings
		act   func(s *Server, p *peer)
		after time.Duration
	}{
		{"idle", Settings{IdleTimeout: 20 * time.Second}, func(*Server, *peer) {}, 20 * time.Second},
		{"idle after a request", Settings{IdleTimeout: 20 * time.Second}, func(_ *Server, p *peer) {
			time.Sleep(15 * time.Second)
			p.request(1, true, simple()...)
		}, 35 * time.Second},
		{"old", Settings{MaxAge: 25 * time.Second}, func(_ *Server, p *peer) { p.request(1, true, simple()...) }, 25 * time.Second},
		{"requests", Settings{MaxRequests: 2}, func(_ *Server, p *peer) {
			p.request(1, true, simple()...)
			time.Sleep(time.Second)
			p.request(3, true, simple()...)
		}, time.Second},
		{"drain", Settings{}, func(s *Server, p *peer) {
			s.Drain()
			time.Sleep(time.Second) // nothing until there is a request
			p.request(1, true, simple()...)
		}, time.Second},
		{"shutdown", Settings{}, func(s *Server, _ *peer) {
			time.Sleep(time.Second)
			s.Shutdown()
		}, time.Second},
		{"shutdown before the connection", Settings{}, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &Server{Handler: http.HandlerFunc(noContent), Settings: func() Settings { return test.set }}
			if test.act == nil {
				s.Shutdown()
			}
			inBubble(t, s, func(p *peer) {
				t := p.t
				start := time.Now()
				if test.act != nil {
					test.act(s, p)
				}
				if code, after := goAway(t, p, start); code != 0 || after != test.after {
					t.Errorf("GOAWAY %d after %v, want 0 after %v", code, after, test.after)
				}
			})
		})
	}
}

// Requests that have begun are finished after GOAWAY; the connection ends with them.
func TestShutdownFinishesRequests(t *testing.T) {
	goOn := make(chan struct{})
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-goOn
		_, _ = io.WriteString(w, "whole")
	})}
	synctest.Test(t, func(t *testing.T) {
		goOn = make(chan struct{})
		p, ended := connect(t, s)
		p.request(1, true, simple()...)
		synctest.Wait()
		if s.Busy() != 1 {
			t.Errorf("Busy() = %d, want 1", s.Busy())
		}
		s.Shutdown()
		synctest.Wait()
		p.request(3, true, simple()...) // the client did not know yet
		time.Sleep(time.Hour)
		close(goOn)
		if f, ok := p.until(typeData); !ok || string(f.payload) != "whole" || f.stream != 1 {
			t.Errorf("answer %v, %v, want the whole one to stream 1", f, ok)
		}
		for f := range p.frames {
			if f.stream == 3 {
				t.Errorf("frame %v on a stream that came after GOAWAY", f)
			}
		}
		<-ended
		if s.Busy() != 0 {
			t.Errorf("Busy() = %d at the end, want 0", s.Busy())
		}
	})
}

// Close tells how many requests it cut, and ends their contexts. ServeConn waits for their handlers.
func TestClose(t *testing.T) {
	var over atomic.Int32
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		time.Sleep(time.Second)
		over.Add(1)
		panic(http.ErrAbortHandler)
	})}
	synctest.Test(t, func(t *testing.T) {
		p, ended := connect(t, s)
		p.request(1, true, simple()...)
		p.request(3, true, simple()...)
		synctest.Wait()
		if n := s.Close(); n != 2 {
			t.Errorf("Close() = %d, want 2", n)
		}
		<-ended
		if n := over.Load(); n != 2 {
			t.Errorf("ServeConn returned when %d handlers had, want 2", n)
		}
		late, lateEnded := connect(t, s)
		<-lateEnded
		if f, ok := <-late.frames; ok {
			t.Errorf("a connection after Close was sent %v, want its end", f)
		}
	})
}

// A client that resets its stream or goes away ends the request's context.
func TestClientGone(t *testing.T) {
	gone := make(chan error, 1)
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- r.Context().Err()
	})}
	inBubble(t, s, func(p *peer) {
		t := p.t
		gone = make(chan error, 1)
		p.request(1, true, simple()...)
		p.send(typeReset, 0, 1, []byte{0, 0, 0, 8})
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("context ended with %v, want %v", err, context.Canceled)
		}
		p.request(3, true, simple()...)
		synctest.Wait() // the handler has begun
		_ = p.nc.Close()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("context ended with %v, want %v", err, context.Canceled)
		}
	})
}

// A body that does not come ends as over HTTP/1.1.
func TestSlowBody(t *testing.T) {
	type end struct {
		err   error
		total int
		after time.Duration
	}
	var ends chan end
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Own") != "" {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
		}
		start, total := time.Now(), 0
		for {
			n, err := r.Body.Read(make([]byte, 100))
			if total += n; err != nil {
				ends <- end{err, total, time.Since(start)}
				return
			}
		}
	})}
	for _, test := range []struct {
		name   string
		fields []string
		every  time.Duration // a byte; 0: nothing comes
		after  time.Duration
		err    error
	}{
		{"nothing", nil, 0, 30 * time.Second, os.ErrDeadlineExceeded},
		{"handler's own deadline", []string{"x-own", "1"}, 0, time.Minute, os.ErrDeadlineExceeded},
		{"drops", nil, time.Second, 11 * time.Second, ErrBodyTooSlow},
		{"drops of gRPC", []string{"content-type", "application/grpc"}, time.Second, 60 * time.Second, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, s, func(p *peer) {
				t := p.t
				ends = make(chan end, 1)
				p.request(1, false, simple(test.fields...)...)
				for range 60 {
					if test.every == 0 {
						break
					}
					time.Sleep(test.every)
					if len(ends) > 0 {
						break
					}
					p.send(typeData, 0, 1, []byte("x"))
				}
				if test.every > 0 && len(ends) == 0 {
					p.send(typeData, flagEndStream, 1, nil)
				}
				if got := <-ends; !errors.Is(got.err, test.err) || got.after != test.after {
					t.Errorf("body ended with %v after %v, want %v after %v", got.err, got.after, test.err, test.after)
				}
			})
		})
	}
}

// A client that takes nothing of one answer loses its stream, and its other streams do not notice.
func TestSlowReader(t *testing.T) {
	failed := make(chan time.Duration, 1)
	s := &Server{Settings: func() Settings { return Settings{WriteTimeout: 20 * time.Second} }, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			noContent(w, r)
			return
		}
		start := time.Now()
		for {
			if _, err := w.Write(make([]byte, 8<<10)); err != nil {
				failed <- time.Since(start)
				return
			}
		}
	})}
	inBubble(t, s, func(p *peer) {
		t := p.t
		failed = make(chan time.Duration, 1)
		p.request(1, true, ":method", "GET", ":scheme", "http", ":path", "/large", ":authority", "a")
		time.Sleep(time.Second)
		p.request(3, true, simple()...)
		if f, ok := p.until(typeHeaders); !ok || f.stream != 1 {
			t.Fatalf("answer %v, %v, want that to stream 1", f, ok)
		}
		if f, ok := p.until(typeHeaders); !ok || f.stream != 3 {
			t.Fatalf("answer %v, %v, want that to stream 3", f, ok)
		}
		if f, ok := p.until(typeReset); !ok || f.stream != 1 {
			t.Errorf("%v, %v, want RST_STREAM", f, ok)
		}
		if after := <-failed; after != 20*time.Second {
			t.Errorf("the write failed after %v, want 20s", after)
		}
	})
}

// A client that is gone without a word is found out.
func TestDeafClient(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
	inBubble(t, s, func(p *peer) {
		t := p.t
		p.deaf.Store(true)
		start := time.Now()
		p.request(1, true, simple()...)
		for range p.frames {
		}
		if after := time.Since(start); after != pingAfter+pingTimeout {
			t.Errorf("the connection ended after %v, want %v", after, pingAfter+pingTimeout)
		}
	})
}
