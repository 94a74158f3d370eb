package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
)

// Engine makes one attempt at a backend. It is the seam under which the protocol lives: it writes the answer to w itself,
// calls a.Answered once the final head has been written, and returns when the answer is complete or has failed. If
// a.Answered was not called, nothing but interim responses has been written.
type Engine interface {
	Attempt(w http.ResponseWriter, r *http.Request, a *Attempt) Outcome
}

// Attempt is what an engine needs to know besides the request.
type Attempt struct {
	Backend   *Backend
	Settings  *Settings
	Path      string // canonical, without the backend's base and the query
	Body      *Body  // the request's; nil: it has none
	Stream    bool   // a gRPC call: it may last, and its answer may be a long time coming
	WebSocket bool   // the client asks for a tunnel and may have one
	Tunnels   *Tunnels
	Begun     time.Time // when it was made; zero: now
	ConnectBy time.Time // a connection must stand by then; zero: the transport's timeout alone
	Deadline  time.Time // of the whole request; zero: none

	x        *exchange.Exchange
	permit   breaker.Permit // of the backend's watch; zero if it is used although it is passed over
	answered bool
	fresh    bool    // use no connection that has served before: one of them has just been found dead
	replay   *replay // of Body, once an attempt over HTTP/2 has begun to send it; nil: none has
}

// Answered settles the exchange and tells the backend's watch: a 5xx status is a failure, any other a success.
func (a *Attempt) Answered(status int) {
	a.answered = true
	if status < http.StatusInternalServerError {
		if !a.permit.Passed() {
			a.permit.Done(breaker.Success, nil, time.Now())
		}
		a.x.Settle(exchange.Outcome{})
		return
	}
	err := statusError(status)
	a.permit.Done(breaker.Failure, err, time.Now())
	a.x.Settle(exchange.Outcome{Failed: exchange.Upstream, Reason: "upstream_status", Err: err})
}

// statusError is a status by which a backend failed.
type statusError int

func (e statusError) Error() string { return "status " + strconv.Itoa(int(e)) }

// Stage says how far an attempt came that got no answer.
type Stage uint8

// The stages.
const (
	Sent        Stage = iota // the backend may have seen the request
	Unmade                   // no connection was made: the backend has seen nothing
	StaleConn                // a reused connection broke before any byte of the response
	Unprocessed              // the backend says that it has not begun with the request (RFC 9113 sections 6.8 and 8.7)
)

// Outcome is how an attempt ended. The zero value is an answer written whole.
type Outcome struct {
	Failed exchange.Party // on whose account; None: success
	Reason refusal.Reason // what the client is told if there was no answer; without meaning if it is gone
	Gone   bool           // the client left: it is told nothing
	Stage  Stage          // without an answer only
	Err    error          // not nil if and only if Failed is not None
}

// result translates an outcome without an answer for the backend's watch.
func (o *Outcome) result() breaker.Result {
	if o.Failed == exchange.Upstream || o.Gone && bugCountAborts {
		return breaker.Failure
	}
	return breaker.Ignored
}

// dialError shortens what net says of a failed connect to what operators need: the address and why. Other errors stay.
func dialError(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || op.Addr == nil {
		return err
	}
	why := op.Err
	if call, ok := errors.AsType[*os.SyscallError](why); ok {
		why = call.Err
	}
	return fmt.Errorf("%v: %w", op.Addr, why)
}
