package main

import (
	"fmt"
	"net/http"
	"path"
	"strconv"
	"time"
)

// longest bounds /slow, so that a forgotten request ends by itself.
const longest = time.Minute

// handler answers as the package comment says.
func handler(name string, port int) http.Handler {
	hello := fmt.Sprintf("Hello from the %s running on port %d\n", name, port)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, last := path.Split(r.URL.Path)
		switch {
		case path.Base(rest) == "status":
			answerStatus(w, last)
		case last == "slow" && !wait(r): // a wait that was fine ends in the default
			problem := fmt.Sprintf("ms: got %q (want 0 to %d)", r.URL.Query().Get("ms"), longest.Milliseconds())
			http.Error(w, problem, http.StatusBadRequest)
		case last == "headers":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_ = r.Header.Write(w) // fails only when the client is gone
		default:
			_, _ = w.Write([]byte(hello))
		}
	})
}

func answerStatus(w http.ResponseWriter, text string) {
	code, err := strconv.Atoi(text)
	if err != nil || code < 200 || code > 599 {
		http.Error(w, fmt.Sprintf("status: got %q (want 200 to 599)", text), http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "%d %s\n", code, http.StatusText(code)) // 204 and 304 have no body
}

// wait holds the request for the milliseconds in its query or until the client is gone. It reports whether the number
// makes sense.
func wait(r *http.Request) bool {
	ms, err := strconv.ParseInt(r.URL.Query().Get("ms"), 10, 64)
	if err != nil || ms < 0 || ms > longest.Milliseconds() {
		return false
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	return true
}
