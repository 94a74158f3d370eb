package breaker

import (
	"strings"
	"time"
	"unicode/utf8"
)

// maxError bounds Status.LastError, in bytes: it travels in every heartbeat.
const maxError = 256

// Permit lets one request pass. It is not to be copied once it may be reported, and belongs to one goroutine at a time. The zero Permit
// reports nothing.
type Permit struct {
	breaker *Breaker // nil: nothing to report, or no more
	calm    uint64   // not 0: given by a calm breaker, of that generation, and 1
	ticket  *ticket  // otherwise
	serial  uint64
}

// Passed is Done for a Success that changes nothing, which needs no clock. The result is false if it might: call Done.
func (p *Permit) Passed() bool {
	if p.breaker != nil && (p.calm == 0 || p.breaker.calm.Load() != p.calm) {
		return false
	}
	p.breaker = nil
	return true
}

// Done reports how the request ended. The first call counts; later ones do nothing, and neither does a result that comes too late: after
// the breaker changed its state, after a Reset, or from a probe that was abandoned. cause is kept as Status.LastError if r is Failure; it
// may be nil.
func (p *Permit) Done(r Result, cause error, now time.Time) {
	b := p.breaker
	if b == nil || r == Success && p.Passed() {
		return
	}
	p.breaker = nil
	if r == Ignored && p.calm != 0 {
		return
	}
	text := ""
	if r == Failure && cause != nil {
		text = bounded(cause.Error()) // foreign code: outside the lock
	}
	b.mu.Lock()
	switch {
	case p.calm == 0 && p.ticket.serial == p.serial:
		b.reportLocked(p.ticket, r, text, now)
	case p.calm == b.generation+1:
		done, err := b.inner.Allow()
		if err == nil { // always: the breaker is closed
			b.countLocked(done, r, text, now)
		}
	}
	b.unlock()
}

// reportLocked spends t and, if it is of the current generation, counts its result.
func (b *Breaker) reportLocked(t *ticket, r Result, text string, now time.Time) {
	current := t.generation == b.generation
	done := b.spendLocked(t)
	if current { // else gobreaker would move from open to half-open on hearing of it
		b.countLocked(done, r, text, now)
	}
}

func (b *Breaker) countLocked(done func(error), r Result, text string, now time.Time) {
	switch r {
	case Success:
		b.failures = 0
		done(nil)
	case Failure:
		b.failures++
		b.lastError = text
		done(errFailure)
	default:
		done(errIgnored)
	}
	b.settleLocked(now)
}

// bounded returns s as valid UTF-8 of at most maxError bytes that keeps nothing longer alive.
func bounded(s string) string {
	if len(s) > maxError {
		cut := maxError
		for cut > maxError-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = strings.Clone(s[:cut])
	}
	return strings.ToValidUTF8(s, "?") // one byte for each run of bad ones: never longer
}
