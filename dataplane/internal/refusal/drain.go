package refusal

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// How much of an unread request body is read, and for how long, so that the connection can be used again.
const (
	drainBytes = 64 << 10
	drainTime  = time.Second
)

// Drain deals with a request body that nobody will read any more, before the head of the answer is written: at most 64 KiB
// of it are read for at most 1 s; if it goes on after that, or cannot be read, the answer says Connection: close. What is
// left of a body is never parsed as a request. On HTTP/2 it does nothing: the server resets the stream with NO_ERROR.
//
// The order is net/http's own, which reads before it answers: once a head without Connection: close is out, its server
// cannot be made to close. No other goroutine may read the body meanwhile.
func Drain(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor >= 2 {
		return
	}
	if !drained(w, r) {
		w.Header().Set("Connection", "close")
	}
}

// drained reports whether the whole body has been read and the connection's deadline restored.
func drained(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength > drainBytes || r.Header.Get("Expect") != "" {
		return false // a client that waits for 100 Continue sends nothing once it has its answer
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return false // without a deadline a slow client could hold the request
	}
	if _, err := io.CopyN(io.Discard, r.Body, drainBytes+1); !errors.Is(err, io.EOF) {
		return false // the deadline stays: nothing may wait for this body again
	}
	return rc.SetReadDeadline(time.Time{}) == nil
}
