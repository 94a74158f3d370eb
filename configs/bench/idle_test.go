package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// page is an admin address whose count grows with each look.
func page(t *testing.T, step int64) *target {
	t.Helper()
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, "# TYPE x counter\ngo_memstats_mallocs_total %d.5e+00\n", count.Add(step))
	}))
	t.Cleanup(server.Close)
	return &target{admin: server.Listener.Addr().String()}
}

func TestMallocs(t *testing.T) {
	admin := page(t, 7)
	for _, want := range []float64{7.5, 14.5} {
		if got, err := mallocs(t.Context(), admin); got != want || err != nil {
			t.Errorf("mallocs = %v, %v, want %v", got, err, want)
		}
	}
	if _, err := fetch(t.Context(), "http://"+admin.admin+"/none"); !matches(err, "404 Not Found (want 200)") {
		t.Errorf("fetch = %v, want a 404", err)
	}
}

// Connections are opened and each has served a request; a proxy that refuses one is no measure.
func TestConnect(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		var served atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-API-KEY") == "k" {
				served.Add(1)
			}
			w.WriteHeader(status)
		}))
		b := &bed{scenario: scenario{connections: 40, body: smallBody}, keys: []apiKey{{Secret: "k"}}}
		var open clients
		err := open.connect(t.Context(), b, &target{address: strings.TrimPrefix(server.URL, "http://")})
		if (err == nil) != (status == http.StatusOK) || err == nil && (served.Load() != 40 || len(open.open) != 40) {
			t.Errorf("with %d: connect = %v, %d served, %d open", status, err, served.Load(), len(open.open))
		}
		if err := open.close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}
