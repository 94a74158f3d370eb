package configs

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// newHTTP2 returns a client that speaks HTTP/2 alone: by ALPN if it is told how to trust, else by prior knowledge. It is closed with the test.
func newHTTP2(t *testing.T, trusting *tls.Config) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(trusting != nil)
	protocols.SetUnencryptedHTTP2(trusting == nil)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: trusting}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// HTTP/2 goes through the whole chain, by ALPN and by prior knowledge, as HTTP/1.1 does.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		t.Run(map[bool]string{true: "ALPN", false: "prior knowledge"}[secure], func(t *testing.T) {
			p := newPort(t)
			settings, scheme, trusting := "", "http://", (*tls.Config)(nil)
			if secure {
				settings, scheme, trusting = p.settings(""), "https://", p.trusting("users.example")
			}
			p.rest += service("limited", guarded, "rate_limit_rps: 0.001, rate_limit_burst: 1", newBackend(t, "backend-2"))
			p.start(settings)
			c := newHTTP2(t, trusting)
			for _, test := range []struct {
				method, path, key, body string
				status                  int
				says                    string
			}{
				{"GET", "/users", fileKey, "", 200, "Hello from the backend-1"},
				{"HEAD", "/users", fileKey, "", 200, ""},
				{"POST", "/users", fileKey, strings.Repeat("x", 100_000), 200, "Hello from the backend-1"},
				{"GET", "/users/../users/./x", fileKey, "", 200, "Hello from the backend-1"},
				{"GET", "/users/status/503", fileKey, "", 503, ""},
				{"GET", "/users", "", "", 401, "Authentication Failed\n"},
				{"POST", "/users", "wrong", strings.Repeat("x", 10_000_000), 401, "Authentication Failed\n"},
				{"POST", "/users", fileKey, strings.Repeat("x", 11<<20), 413, "Body Too Large\n"},
				{"GET", "/nothing", fileKey, "", 404, "Not Found\n"},
				{"TRACE", "/users", fileKey, "", 405, "Method Not Allowed\n"},
				{"GET", "/limited", fileKey, "", 200, "Hello from the backend-2"},
				{"GET", "/limited", fileKey, "", 429, "Rate Limit Exceeded\n"},
			} {
				req, err := http.NewRequestWithContext(t.Context(), test.method, scheme+p.data.public+test.path, strings.NewReader(test.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-API-KEY", test.key)
				resp, err := c.Do(req)
				if err != nil {
					t.Errorf("%s %s: %v", test.method, test.path, err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != test.status || !strings.HasPrefix(string(body), test.says) || resp.ProtoMajor != 2 {
					t.Errorf("%s %s = %s %d %q, %v, want %d %q", test.method, test.path, resp.Proto, resp.StatusCode, body, err, test.status, test.says)
				}
			}
			if n := p.metrics(p.data)["gateway_connections_open"]; n != 1 {
				t.Errorf("%v connections are open, want the one", n)
			}
		})
	}
}

// A stream over HTTP/2 ends within 5 s of the revocation of its key, by a reset and not cleanly; streams of other keys on the same
// connection go on.
func TestHTTP2StreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	p.start(p.settings(""))
	secret, _ := p.addKey("alice")
	p.awaitServing()
	c := newHTTP2(t, p.trusting("users.example"))
	open := func(key string) io.ReadCloser {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+p.data.public+"/users/stream", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-KEY", key)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		first := make([]byte, len(firstEvent))
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != firstEvent {
			t.Fatalf("stream begins %d %q, %v, want %q", resp.StatusCode, first, err, firstEvent)
		}
		return resp.Body
	}
	hers, others := open(secret), open(fileKey)
	p.revokeKey("alice")
	revoked := time.Now()
	if rest, err := io.ReadAll(hers); err == nil {
		t.Errorf("the stream of a key that was revoked ends cleanly, after %q", rest)
	}
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("the stream of a key that was revoked ends after %v, want 5s at most", took)
	}
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		_, _ = others.Read(make([]byte, 1))
	}()
	select {
	case <-alive:
		t.Error("the stream of another key ended too")
	default:
	}
	_ = others.Close()
	<-alive
}

// A data plane that is told to end finishes what HTTP/2 has begun, tells clients to go, and is gone.
func TestHTTP2Shutdown(t *testing.T) {
	t.Parallel()
	l := startLeaveTaking(t, patience, time.Second)
	l.socket.close()
	l.stream.close()
	close(l.load.leaving)
	idle := newHTTP2(t, nil)
	url := "http://" + l.data.public + "/users"
	if status, err := l.ask(idle, url); status != http.StatusOK || err != nil {
		t.Fatalf("before: status %d, %v", status, err)
	}
	var done sync.WaitGroup
	var mu sync.Mutex
	failures := make(map[string]int)
	leaving := make(chan struct{})
	for range 4 {
		c := newHTTP2(t, nil)
		done.Go(func() {
			for {
				select {
				case <-leaving: // net/http would make a new connection, to nobody
					return
				default:
				}
				if status, err := l.ask(c, url); status != http.StatusOK || err != nil {
					mu.Lock()
					failures[fmt.Sprint(status, err)]++
					mu.Unlock()
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-KEY", fileKey)
	resp, err := newHTTP2(t, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	l.data.stop()
	l.await("/readyz to be 503", func() bool {
		a, err := l.try(l.data.admin, "/readyz", "")
		return err == nil && a.status == http.StatusServiceUnavailable
	})
	close(leaving)
	done.Wait()
	if len(failures) > 0 {
		t.Errorf("requests failed: %v", failures)
	}
	l.await("the port to be closed", func() bool {
		c, err := dial(l.data.public)
		c.close()
		return err != nil
	})
	close(l.backend.release)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != firstEvent+lastEvent {
		t.Errorf("the stream is %q, %v, want all of it", rest, err)
	}
	l.awaitEnd(l.data) // although idle has not closed its connection
	if code := exited(t, l.data); code != 0 {
		t.Errorf("exit status = %d, want 0", code)
	}
	if log := l.data.log.String(); !strings.Contains(log, "msg=drained") {
		t.Errorf("nothing was to be cut; log:\n%s", l.data.log.tail())
	}
}
