package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

// buffers hold what is copied between client and backend.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// respond passes a response on.
func (f *flight) respond(resp *http.Response) Outcome {
	f.dog.head()
	if err := check(resp); err != nil {
		return Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: err}
	}
	f.writeHead(resp)
	var o Outcome
	if hasBody(f.r.Method, resp.StatusCode) {
		o = f.body(resp)
	}
	if o.Failed == exchange.None && !f.a.Body.complete() {
		f.linger()
	}
	return o
}

// body passes a response's body on, and what follows it.
func (f *flight) body(resp *http.Response) Outcome {
	stream, limit := isStream(resp.Header.Get("Content-Type")), f.settings.ReadTimeout
	if stream {
		limit = f.a.Settings.streamIdle()
		if !f.a.Stream {
			entry := f.a.Tunnels.add(f.a.x, f.cut)
			defer f.a.Tunnels.remove(entry)
		}
	}
	// A head that is all there is goes out with its end: a gRPC status in it counts only then.
	o := f.copyBody(resp.Body, limit, (stream || resp.ContentLength < 0) && resp.ContentLength != 0)
	if o.Failed == exchange.None {
		f.writeTrailer(resp.Trailer)
	}
	return o
}

// connectionSpecific are the headers that make a message of HTTP/2 malformed (RFC 9113 section 8.2.2).
var connectionSpecific = [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"}

// check refuses what net/http lets through and HTTP does not.
func check(resp *http.Response) error {
	if code, _, _ := strings.Cut(resp.Status, " "); len(code) != 3 || resp.StatusCode < 100 || resp.StatusCode > 599 {
		return fmt.Errorf("response status %q (want 100 to 599)", code)
	}
	if lengths, ok := resp.Header["Content-Length"]; ok {
		if _, v := wire.ParseContentLength(lengths); v != nil {
			return v
		}
	}
	for _, name := range connectionSpecific {
		if _, ok := resp.Header[name]; ok {
			return fmt.Errorf("response header %s over HTTP/2", name)
		}
	}
	fields := 0
	for _, values := range resp.Header {
		fields += len(values)
	}
	if fields > maxFields {
		return fmt.Errorf("response of %d header fields (want at most %d)", fields, maxFields)
	}
	return nil
}

// writeTrailer sets what follows the body, which gRPC's status is part of. HTTP/1.1 clients do without.
func (f *flight) writeTrailer(trailer http.Header) {
	if len(trailer) == 0 || f.r.ProtoMajor < 2 {
		return
	}
	passed := make(http.Header, len(trailer))
	wire.ResponseHeader(passed, trailer) // without what frames a message
	h := f.w.Header()
	for name, values := range passed {
		h[http.TrailerPrefix+name] = values
	}
}

// writeHead writes the head of the answer and settles the exchange.
func (f *flight) writeHead(resp *http.Response) {
	h := f.w.Header()
	wire.ResponseHeader(h, resp.Header)
	if resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	writeHead(f.w, f.r, f.a, resp.StatusCode)
}

// writeHead writes the head of the final response, whose header is set, and settles the exchange.
func writeHead(w http.ResponseWriter, r *http.Request, a *Attempt, status int) {
	h := w.Header()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	if !a.Body.complete() && r.ProtoMajor == 1 {
		// An early answer. The rest of the body still goes to the backend while the answer comes; what is never read
		// must not be taken for the next request.
		h.Set("Connection", "close")
		_ = http.NewResponseController(w).EnableFullDuplex() // without it net/http reads before it writes
	}
	w.WriteHeader(status)
	a.Answered(status)
}

// hasBody reports whether a final response has a body (RFC 9112 §6.3).
func hasBody(method string, status int) bool {
	return method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// isStream reports whether a response goes on for as long as somebody listens.
func isStream(contentType string) bool {
	const events, grpc = "text/event-stream", "application/grpc"
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return strings.EqualFold(media, events) || len(media) >= len(grpc) && strings.EqualFold(media[:len(grpc)], grpc)
}

// copyBody copies a response's body. The backend may be silent for limit. With flush, what is here goes out at once.
func (f *flight) copyBody(body io.Reader, limit time.Duration, flush bool) Outcome {
	rc := http.NewResponseController(f.w)
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		if flush && rc.Flush() != nil { // the head too: the first byte may be a long time coming
			flush = false
		}
		f.dog.expect(limit)
		n, err := body.Read(buf[:])
		f.dog.rest()
		if n > 0 {
			if _, werr := f.w.Write(buf[:n]); werr != nil {
				return f.unwritten(werr)
			}
		}
		if errors.Is(err, io.EOF) {
			return Outcome{}
		}
		if err != nil {
			if o, ok := f.ended(err); ok {
				return o
			}
			return Outcome{Failed: exchange.Upstream, Err: err}
		}
	}
}

// cut ends a stream from outside, also one whose client does not read.
func (f *flight) cut() {
	f.cancel(errCut)
	_ = http.NewResponseController(f.w).SetWriteDeadline(time.Unix(1, 0)) // long ago
}

// unwritten says why the answer could not be written on: the stream was cut, or the client is gone.
func (f *flight) unwritten(err error) Outcome {
	if errors.Is(context.Cause(f.ctx), errCut) {
		return Outcome{Failed: exchange.Gateway, Err: errCut}
	}
	return Outcome{Failed: exchange.Client, Gone: true, Err: err}
}

// linger ends a request whose answer is complete but whose body is not: a client that is still sending would lose the
// answer if its connection were closed at once.
func (f *flight) linger() {
	if f.r.ProtoMajor == 1 { // HTTP/2 writes all of it when the handler returns
		_ = http.NewResponseController(f.w).Flush()
	}
	f.a.Body.stop()
}
