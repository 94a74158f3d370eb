package http2

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const typeContinuation = 9

// Streams that are reset at once (CVE-2023-44487) start no more handlers than a connection may have, and end the connection.
func TestRapidReset(t *testing.T) {
	const enhanceYourCalm = 11
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })}
		p, ended := connect(t, s)
		go func() {
			for stream := uint32(1); stream < 2_000; stream += 2 {
				p.request(stream, true, simple()...)
				p.send(typeReset, 0, stream, []byte{0, 0, 0, 8})
			}
		}()
		if f, ok := p.until(typeGoAway); !ok || f.code() != enhanceYourCalm {
			t.Errorf("%v, %v, want GOAWAY ENHANCE_YOUR_CALM", f, ok)
		}
		if n := s.Busy(); n > maxStreams {
			t.Errorf("%d handlers run, want at most %d", n, maxStreams)
		}
		close(release)
		<-ended
	})
}

// A head without end ends the connection: by its size, or as no PING is answered.
func TestContinuationFlood(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("half a head was let in") })}
	for _, test := range []struct {
		name   string
		fields []string
		every  time.Duration
		most   int
	}{
		{"many fields", []string{"a", "b"}, 0, 1000},
		{"large fields", []string{"a", strings.Repeat("b", 1000)}, 0, 100},
		{"empty frames", nil, time.Second, 46},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, ended := connect(t, s)
				p.deaf.Store(true) // PING is not to stand within a head
				sent, done := 0, make(chan struct{})
				go func() {
					defer close(done)
					p.send(typeHeaders, flagEndStream, 1, block(simple()...))
					for p.send(typeContinuation, 0, 1, []byte(strings.Repeat(string(block(test.fields...)), 10))) {
						sent++
						time.Sleep(test.every)
					}
				}()
				<-ended
				<-done
				if sent > test.most {
					t.Errorf("%d frames were read, want %d at most", sent, test.most)
				}
			})
		})
	}
}
