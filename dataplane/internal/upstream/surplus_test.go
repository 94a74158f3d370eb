package upstream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"apigateway/dataplane/internal/exchange"
)

// talkative answers the first request on each connection, and then answers on, unasked. sent hears of each answer and what is behind it.
func talkative(t *testing.T, answer, surplus string, inOne bool) (url string, sent <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 8)
	var wg sync.WaitGroup
	serve := func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			pieces := []string{answer, surplus}
			if inOne {
				pieces = []string{answer + surplus}
			}
			for _, piece := range pieces {
				_, _ = io.WriteString(conn, piece) // the gateway may have closed it
			}
			told <- struct{}{}
		}
	}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String(), told
}

// TestSurplusAnswersNobody: what a backend sends behind an answer, with it or later, is never the answer to another request, and no request
// goes out on that connection.
func TestSurplusAnswersNobody(t *testing.T) {
	const own, forged = ok200 + "Content-Length: 3\r\n\r\nown", ok200 + "Content-Length: 6\r\n\r\nforged"
	for name, inOne := range map[string]bool{"with it": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			url, sent := talkative(t, own, forged, inOne)
			e := clientFor(t, nil)
			for range 3 {
				o, w := attempt(t, e, url, http.NoBody, 0, Settings{})
				if got := w.Body.String(); o.Failed != exchange.None || got != "own" {
					t.Fatalf("answer = %q, %+v, want its own", got, o)
				}
				<-sent // all of it has come, as this is loopback
			}
			if conn := e.pool.Host(nil, "http", url[len("http://"):], nil).Idle(); conn != nil {
				_ = conn.Close()
				t.Error("a connection with unasked bytes is used again")
			}
		})
	}
}
