package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// secure serves h with the certificate that makeCertificate writes.
func secure(t *testing.T, h http.Handler) (address string, c certificate) {
	t.Helper()
	c, err := makeCertificate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.both, c.both)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients that hang up are meant to
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), c
}

func TestDrive(t *testing.T) {
	const lasting = 200 * time.Millisecond
	tests := []struct {
		name      string
		perSecond float64
		status    int
		fresh     bool // a connection for each request
		most      uint64
		err       string
	}{
		{name: "handshakes", status: 200, fresh: true, most: 1 << 30},
		{name: "a fixed rate", status: 200, perSecond: 100, most: 20},
		{name: "refused", status: 401, perSecond: 100, err: "got 401 (want 200)"},
		{name: "refused at once", status: 401, err: "got 401 (want 200)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var requests, wrong atomic.Uint64
			address, c := secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.TLS.Version != tls.VersionTLS13 || r.TLS.DidResume || r.Header.Get("X-API-KEY") != "k" || r.Close != tt.fresh {
					wrong.Add(1)
				}
				w.WriteHeader(tt.status)
			}))
			text, err := json.Marshal(order{Address: address, Path: "/users", Key: "k", Roots: c.cert, Connections: 2, PerSecond: tt.perSecond, Lasting: lasting})
			if err != nil {
				t.Fatal(err)
			}
			var out, problem bytes.Buffer
			status := runDrive(bytes.NewReader(text), &out, &problem)
			if tt.err != "" {
				if status != 1 || !strings.Contains(problem.String(), tt.err) {
					t.Errorf("status %d, %q, want %q", status, &problem, tt.err)
				}
				return
			}
			var done outcome
			if err := json.Unmarshal(out.Bytes(), &done); err != nil || status != 0 {
				t.Fatalf("status %d, %q, %v", status, &problem, err)
			}
			if done.Requests == 0 || done.Requests > tt.most || done.Requests != requests.Load() || wrong.Load() > 0 || done.P99 <= 0 {
				t.Errorf("got %+v, the server %d requests, %d of them not as they should be; want the same number, at most %d", done, requests.Load(), wrong.Load(), tt.most)
			}
		})
	}
}

// A late answer makes the requests behind it late too.
func TestLateAnswersCount(t *testing.T) {
	const late = 100 * time.Millisecond
	var first atomic.Bool
	address, c := secure(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if first.CompareAndSwap(false, true) {
			<-time.After(late)
		}
	}))
	config, err := trusting(c.cert)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	took, err := caller{
		order: order{Address: address, Path: "/", Connections: 1, PerSecond: 100}, config: config, begin: begin, end: begin.Add(late),
	}.steadily(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(took) < 5 || took[0] < late || took[1] < late/2 {
		t.Errorf("got %v, want ten requests, the first two late", took)
	}
}

func TestTrustNobodyElse(t *testing.T) {
	address, _ := secure(t, http.NotFoundHandler())
	other, err := makeCertificate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (order{Address: address, Roots: other.cert, Connections: 1, Lasting: time.Second}).drive(t.Context()); !matches(err, "unknown authority") {
		t.Errorf("drive = %v, want an unknown authority", err)
	}
	if _, err := trusting(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("trusting a file that is not there: no error")
	}
	if _, err := trusting(other.key); !matches(err, "got none") {
		t.Errorf("trusting a file without certificate = %v", err)
	}
}
