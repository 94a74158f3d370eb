// Package exchange is the record of one request: who asked, which service answers, with what status, and who failed. The
// gateway makes one per request and passes it as the request's context, so that middleware share what they learn without
// wrapping the writer and without a map.
//
// An Exchange belongs to the goroutine that serves its request; only Settle and Settled may be called from another one.
// It is not for use after the request has ended.
package exchange

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/keys"
)

// Party says on whose account a request failed.
type Party uint8

// The parties.
const (
	None     Party = iota // nobody: the request was answered
	Client                // the client's: an abort, a malformed request, no key, too many requests
	Gateway               // the gateway's own: an open breaker, a missing configuration, a panic
	Upstream              // the backend's: connection error, timeout, malformed response or a 5xx status
)

// String returns none, client, gateway or upstream.
func (p Party) String() string {
	switch p {
	case None:
		return "none"
	case Client:
		return "client"
	case Gateway:
		return "gateway"
	case Upstream:
		return "upstream"
	}
	return "unknown"
}

// Outcome says how a request ended. The zero value is success.
type Outcome struct {
	Failed Party
	Reason string // a code of package refusal or another short constant; "" for success
	Err    error  // detail for the log, never for the client; may be nil
}

// Observer is told once when an exchange is settled, on the goroutine that settles it and with no lock held.
type Observer interface {
	Settled(x *Exchange)
}

// inlineObservers is how many observers an Exchange holds without allocating: as many as there are built-in middleware.
const inlineObservers = 4

// The states of Exchange.state.
const (
	open uint32 = iota
	settling
	settled
)

// Exchange gathers what one request learns on its way. It is itself the request's context: make it with New.
type Exchange struct {
	context.Context // of the connection or the caller; never nil

	Service   string         // "" before routing, and where no route matched
	Key       *keys.Identity // the verified key; nil: none
	KeyHash   keys.Hash      // of the verified secret; meaningless while Key is nil
	ClientIP  netip.Addr     // the client's, after trusted_proxies; the zero Addr if it is not known
	Scheme    string         // http or https
	RequestID string
	Start     time.Time // when the request head was complete
	Status    int       // of the final response head, set by the engine's writer, or of the refusal; 0: none yet
	Refusal   string    // code of the gateway's own answer, set by refusal.Write; "": none
	Tunnel    bool      // the connection switched protocols
	Backend   string    // URL of the last attempt; "": none was made
	Outcome   Outcome   // valid once settled

	state     atomic.Uint32
	count     int
	observers [inlineObservers]Observer
	more      []Observer
}

// Begun returns Start, or the present if nobody has set it. Where a moment is as good as another, it saves reading the clock.
func (x *Exchange) Begun() time.Time {
	if x.Start.IsZero() {
		return time.Now()
	}
	return x.Start
}

type contextKey struct{}

// New returns the exchange of a request whose context was parent.
func New(parent context.Context) *Exchange {
	return &Exchange{Context: parent}
}

// From returns the exchange that ctx is or derives from, nil if there is none.
func From(ctx context.Context) *Exchange {
	if x, ok := ctx.(*Exchange); ok {
		return x
	}
	x, _ := ctx.Value(contextKey{}).(*Exchange)
	return x
}

// Value returns the exchange itself for the package's own key, otherwise what the parent context holds.
func (x *Exchange) Value(key any) any {
	if key == (contextKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// Observe registers o to be told when x is settled. The first four allocate nothing. An observer that is registered
// after x was settled is not told.
func (x *Exchange) Observe(o Observer) {
	if x.count < inlineObservers {
		x.observers[x.count] = o
	} else {
		x.more = append(x.more, o)
	}
	x.count++
}

// Settle records how the request ended and tells the observers, the last registered first. It is called when the response
// head is complete or cannot come; the first call wins, later ones do nothing.
func (x *Exchange) Settle(o Outcome) {
	if !x.state.CompareAndSwap(open, settling) {
		return
	}
	x.Outcome = o
	x.state.Store(settled)
	for i := x.count - 1; i >= 0; i-- {
		if i < inlineObservers {
			x.observers[i].Settled(x)
		} else {
			x.more[i-inlineObservers].Settled(x)
		}
	}
}

// Settled reports whether Outcome is valid.
func (x *Exchange) Settled() bool {
	return x.state.Load() == settled
}
