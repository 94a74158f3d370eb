package upstream

import (
	"context"
	"errors"
	"strings"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/upstream/h2"
)

// errAborted ends an attempt whose response cannot come, so that net/http says why it cannot.
var errAborted = errors.New("stream ended by the backend")

// What net/http says of a request, where it has no type for it. A test asks it to say so.
const (
	saysGoAway    = "http2: Transport received Server's graceful shutdown GOAWAY"
	saysLargeHead = "request header list larger than peer's advertised limit"
)

// refusedStream is the error code REFUSED_STREAM (RFC 9113 section 7).
const refusedStream = 7

// streamError is net/http's error of one stream: errors.As fills in any struct with these fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream error" }

// unmade says how an attempt without a connection ended.
func (f *flight) unmade(err error) Outcome {
	if o, ok := f.ended(err); ok {
		return o
	}
	o := upstreamFailure(err)
	o.Stage, o.Err = Unmade, dialError(err)
	return o
}

// failed says how an attempt without a response head ended.
func (f *flight) failed(err error, conn *h2.Conn) Outcome {
	f.mu.Lock()
	sent, begun := f.sent, f.begun
	f.mu.Unlock()
	if !begun && conn.SilentSince(f.begunAt) && errors.Is(context.Cause(f.ctx), errFirstByte) {
		conn.Retire() // the backend may be gone: nobody else needs to find out the same way
	}
	if o, ok := f.ended(err); ok {
		return o
	}
	o := upstreamFailure(err)
	switch {
	case strings.HasSuffix(err.Error(), saysLargeHead):
		return Outcome{Failed: exchange.Client, Reason: refusal.HeaderTooLarge, Err: err}
	case f.overdue(time.Now()):
		return Outcome{Failed: exchange.Client, Reason: refusal.RequestTimeout, Err: err}
	case unprocessed(err), !sent:
		o.Stage = Unprocessed
	case f.reused && !begun && !streamFailed(err): // it may have been dead before: not the backend's failure
		o.Stage, o.Failed = StaleConn, exchange.Gateway
	}
	return o
}

func upstreamFailure(err error) Outcome {
	o := Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamError, Err: err}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		o.Reason = refusal.UpstreamTimeout
	}
	return o
}

// unprocessed reports whether the backend says that it has not begun with the request.
func unprocessed(err error) bool {
	var stream streamError
	return errors.As(err, &stream) && stream.Code == refusedStream || err.Error() == saysGoAway
}

// streamFailed reports whether it is the stream that failed, and not the connection.
func streamFailed(err error) bool {
	var stream streamError
	return errors.As(err, &stream)
}

// ended says whether the attempt was ended by the client, by a timeout, or from outside, and not by the backend.
func (f *flight) ended(err error) (Outcome, bool) {
	if o, ok := f.a.Body.fault(f.r.Context().Err() != nil); ok {
		return o, true
	}
	if f.ctx.Err() == nil {
		return Outcome{}, false
	}
	cause := context.Cause(f.ctx)
	var timeout timeoutError
	switch {
	case errors.Is(cause, errAborted):
		return Outcome{}, false
	case errors.As(cause, &timeout), errors.Is(cause, context.DeadlineExceeded): // the latter: own middleware's
		return Outcome{Failed: exchange.Upstream, Reason: refusal.UpstreamTimeout, Err: cause}, true
	case errors.Is(cause, errClientSilent):
		return Outcome{Failed: exchange.Client, Reason: refusal.RequestTimeout, Err: cause}, true
	case errors.Is(cause, errCut):
		return Outcome{Failed: exchange.Gateway, Err: cause}, true
	default:
		return Outcome{Failed: exchange.Client, Gone: true, Err: err}, true
	}
}
