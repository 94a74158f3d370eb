package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnswers(t *testing.T) {
	tests := []struct {
		name, target string
		code         int
		body         string
	}{
		{"any path", "/users", 200, "Hello from the backend-1 running on port 8081\n"},
		{"root", "/", 200, "Hello from the backend-1 running on port 8081\n"},
		{"status", "/users/status/503", 503, "503 Service Unavailable\n"},
		{"status out of range", "/users/status/600", 400, "status: got \"600\" (want 200 to 599)\n"},
		{"interim status", "/users/status/100", 400, "status: got \"100\" (want 200 to 599)\n"},
		{"status not a number", "/users/status/", 400, "status: got \"\" (want 200 to 599)\n"},
		{"slow", "/users/slow?ms=0", 200, "Hello from the backend-1 running on port 8081\n"},
		{"slow without a number", "/users/slow", 400, "ms: got \"\" (want 0 to 60000)\n"},
		{"slow too long", "/users/slow?ms=60001", 400, "ms: got \"60001\" (want 0 to 60000)\n"},
		{"slow overflowing", "/slow?ms=9223372036854775", 400, "ms: got \"9223372036854775\" (want 0 to 60000)\n"},
		{"headers", "/users/headers", 200, "X-Gateway-Key: alice\r\n"},
	}
	h := handler("backend-1", 8081)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, tt.target, nil)
			r.Header.Set("X-Gateway-Key", "alice")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.code || w.Body.String() != tt.body {
				t.Errorf("GET %s = %d %q, want %d %q", tt.target, w.Code, w.Body, tt.code, tt.body)
			}
		})
	}
}

func TestSlowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		handler("b", 1).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/slow?ms=1500", nil))
		if got := time.Since(start); got != 1500*time.Millisecond {
			t.Errorf("slow?ms=1500 took %v", got)
		}
	})
}

func TestServeUntilContextEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, "backend-7") }()
	res, err := http.Get("http://" + ln.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	want := "Hello from the backend-7 running on port " + strconv.Itoa(ln.Addr().(*net.TCPAddr).Port) + "\n"
	if err != nil || string(body) != want {
		t.Errorf("answer = %q, %v, want %q", body, err, want)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve = %v, want nil", err)
	}
}

func TestExitStatus(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"help", []string{"--help"}, 0},
		{"wrong flag", []string{"--nope"}, 2},
		{"taken port", []string{"--port", taken}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stderr strings.Builder
			if got := run(t.Context(), tt.args, &stderr); got != tt.code {
				t.Errorf("run(%q) = %d, want %d: %s", tt.args, got, tt.code, &stderr)
			}
		})
	}
}
