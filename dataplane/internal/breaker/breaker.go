// Package breaker decides whether a service's backends are asked at all: closed, every request passes; after N failures
// in a row it opens and refuses; when the reset time has passed, exactly one request at a time is let through as a probe,
// whose result closes it or opens it again.
//
// The state machine is sony/gobreaker's two-step breaker. This package adds what an operated gateway needs around it:
//   - Time is passed in. An open breaker stays open, and is shown open, until a request becomes its probe; neither reading
//     the status nor a late result moves it.
//   - A probe that reports nothing within 30 s is abandoned, and one that ends Ignored decides nothing. Either way the
//     breaker stays half-open and the very next request is the next probe.
//   - A permit counts once. Results of permits given before the last change of state, or before a Reset, are dropped.
//   - Reset, new settings on the run, the text of the last failure.
//   - While a breaker is calm (closed, and no failure counted since the last success), a success changes nothing. Such requests take no lock
//     and gobreaker hears nothing of them; it is asked afterwards for one that failed, as if it had been asked before.
//
// It knows no HTTP: what a failure is, its callers say. All methods are safe for concurrent use.
package breaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// probeTimeout is when a probe that has not reported is abandoned.
	probeTimeout = 30 * time.Second
	// maxProbeRetry bounds RetryAfter while a probe is under way: it usually answers long before its time is up.
	maxProbeRetry = time.Second
)

// What gobreaker is told; the causes themselves stay outside of it.
var (
	errFailure = errors.New("failure")
	errIgnored = errors.New("ignored")
)

// State is where a breaker stands. The numbers are those of the metric gateway_circuit_breaker_state.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

// String returns closed, open or half-open.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	default:
		return "unknown"
	}
}

// Result is what became of a permitted request.
type Result uint8

// The results.
const (
	Success Result = iota // ends a run of failures; closes a half-open breaker
	Failure               // counts towards opening; opens a half-open breaker again
	Ignored               // says nothing about the backends: aborts, client errors, refusals further down
)

// Settings of one breaker.
type Settings struct {
	FailureThreshold int           // opens at this many failures in a row; below 1 counts as 1
	ResetTimeout     time.Duration // from opening to the first probe; 0 or less: the next request is the probe
}

// Status describes a breaker at one moment.
type Status struct {
	State               State
	Since               time.Time // start of State; zero: closed since New
	ConsecutiveFailures int       // up to now, failed probes included; 0 after a success or a Reset
	Trips               uint64    // changes from closed to open since New; a failed probe is not one more
	NextProbeAt         time.Time // from then on a request becomes a probe; zero if closed
	LastError           string    // cause of the last counted failure, valid UTF-8 of at most 256 bytes; "" none since New or Reset
}

// Breaker guards one service. Make it with New.
type Breaker struct {
	onChange func(from, to State)
	calm     atomic.Uint64 // the generation, and 1, while the breaker is calm; 0: it is not

	mu         sync.Mutex
	settings   Settings
	inner      *gobreaker.TwoStepCircuitBreaker[any]
	reached    State // state of inner, told by its hook; state follows in settleLocked
	state      State
	since      time.Time
	nextProbe  time.Time // not closed: requests before it are refused
	probe      *ticket   // of the probe under way; nil: none
	generation uint64    // of the current state; results of another are dropped
	failures   int
	trips      uint64
	lastError  string
	free       *ticket // spent tickets, for reuse
	changes    []change
	telling    bool // somebody is delivering changes
}

// change is a transition that onChange has yet to hear of.
type change struct{ from, to State }

// ticket is what a Permit that is not a calm one's stands for. All fields are guarded by Breaker.mu.
type ticket struct {
	serial     uint64 // raised when the permit is spent: it is void from then on
	generation uint64
	done       func(error) // gobreaker's callback: called once at most
	next       *ticket     // in Breaker.free
}

// New returns a closed breaker. onChange, if not nil, is told of each change of state, in order and one at a time, by
// the goroutine that caused it or one that is just delivering an earlier change. No lock is held: it may call the
// breaker. It must not panic.
func New(s Settings, onChange func(from, to State)) *Breaker {
	b := &Breaker{settings: s, onChange: onChange}
	b.inner = b.newInner()
	b.calmLocked()
	return b
}

// newInner makes gobreaker's part. Its hooks run below b.mu, as every call of it does, and must not take it.
func (b *Breaker) newInner() *gobreaker.TwoStepCircuitBreaker[any] {
	return gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     1, // the open period is ours: gobreaker is asked only when it is over
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return int64(c.ConsecutiveFailures) >= int64(b.settings.FailureThreshold)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				b.reached = Open
			case gobreaker.StateHalfOpen:
				b.reached = HalfOpen
			case gobreaker.StateClosed:
				b.reached = Closed
			}
		},
	})
}

// Pass is Allow for a calm breaker, which needs no clock. The result is false if the breaker is not calm: ask Allow.
func (b *Breaker) Pass() (p Permit, ok bool) {
	calm := b.calm.Load()
	return Permit{breaker: b, calm: calm}, calm != 0
}

// calmLocked follows state, failures and generation.
func (b *Breaker) calmLocked() {
	calm := uint64(0)
	if b.state == Closed && b.failures == 0 {
		calm = b.generation + 1
	}
	b.calm.Store(calm)
}

// Allow asks to send one request. If ok, the caller owes one Permit.Done; if not, the request is to be refused, and
// RetryAfter says for how long.
func (b *Breaker) Allow(now time.Time) (p Permit, ok bool) {
	if p, ok = b.Pass(); ok {
		return p, true
	}
	b.mu.Lock()
	if b.state != Closed && now.Before(b.nextProbe) {
		b.mu.Unlock()
		return Permit{}, false
	}
	if b.probe != nil { // out of time
		b.spendLocked(b.probe)(errIgnored)
	}
	done, err := b.inner.Allow()
	b.settleLocked(now)
	if err == nil {
		p = b.issueLocked(done, now)
	}
	b.unlock()
	return p, err == nil
}

// issueLocked makes the permit whose result done takes.
func (b *Breaker) issueLocked(done func(error), now time.Time) Permit {
	t := b.free
	if t == nil {
		t = new(ticket)
	} else {
		b.free = t.next
	}
	t.generation, t.done, t.next = b.generation, done, nil
	if b.state == HalfOpen {
		b.probe = t
		b.nextProbe = now.Add(probeTimeout)
	}
	return Permit{breaker: b, ticket: t, serial: t.serial}
}

// spendLocked voids t's permit and returns gobreaker's callback.
func (b *Breaker) spendLocked(t *ticket) func(error) {
	done := t.done
	t.serial++
	t.done, t.next, b.free = nil, b.free, t
	if b.probe == t {
		b.probe = nil
		b.nextProbe = b.since // free for the next request, unless the result decides otherwise
	}
	return done
}

// RetryAfter returns how long a request refused at now should wait: until the next probe, but at most 1 s while a probe
// is under way. 0: a request may be permitted now.
func (b *Breaker) RetryAfter(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case Open:
		return max(0, b.nextProbe.Sub(now))
	case HalfOpen:
		return min(max(0, b.nextProbe.Sub(now)), maxProbeRetry)
	default:
		return 0
	}
}

// Status returns what operators are shown. It never moves the state.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{
		State:               b.state,
		Since:               b.since,
		ConsecutiveFailures: b.failures,
		Trips:               b.trips,
		LastError:           b.lastError,
	}
	if b.state != Closed {
		s.NextProbeAt = b.nextProbe
	}
	return s
}

// Reset closes the breaker at once and forgets its failures. Results of permits given before it no longer count.
func (b *Breaker) Reset(now time.Time) {
	b.mu.Lock()
	if b.probe != nil {
		b.spendLocked(b.probe)
	}
	b.inner = b.newInner() // gobreaker has no reset
	b.reached = Closed
	b.generation++
	b.failures, b.lastError = 0, ""
	b.settleLocked(now)
	b.unlock()
}

// Update changes the settings. The threshold counts from the next failure on, the reset time from the next opening; an
// open breaker stays open.
func (b *Breaker) Update(s Settings) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settings = s
}

// settleLocked takes over the state that gobreaker has reached.
func (b *Breaker) settleLocked(now time.Time) {
	if b.state == b.reached {
		return
	}
	from := b.state
	b.state, b.since = b.reached, now
	b.generation++
	if b.state == Open {
		b.nextProbe = now.Add(b.settings.ResetTimeout)
		if from == Closed {
			b.trips++
		}
	}
	if b.onChange != nil {
		b.changes = append(b.changes, change{from, b.state})
	}
}

// unlock finds out whether the breaker is calm now, unlocks, and delivers the changes. One goroutine delivers at a time: with more, the last one told might not be
// the last that happened.
func (b *Breaker) unlock() {
	b.calmLocked()
	if b.telling || len(b.changes) == 0 {
		b.mu.Unlock()
		return
	}
	b.telling = true
	for len(b.changes) > 0 {
		c := b.changes[0]
		b.changes = b.changes[1:]
		b.mu.Unlock()
		b.onChange(c.from, c.to)
		b.mu.Lock()
	}
	b.changes, b.telling = nil, false
	b.mu.Unlock()
}
