package breaker

import (
	"strings"
	"time"
	"unicode/utf8"
)

// maxError bounds Status.LastError, in bytes: it travels in every heartbeat.
const maxError = 256

// Permit lets one request pass. Copies stand for the same permit. The zero Permit reports nothing.
type Permit struct {
	ticket *ticket
	serial uint64
}

// Done reports how the request ended. The first call counts, on whichever copy; later ones do nothing, and neither does
// a result that comes too late: after the breaker changed its state, after a Reset, or from a probe that was abandoned.
// cause is kept as Status.LastError if r is Failure; it may be nil.
func (p Permit) Done(r Result, cause error, now time.Time) {
	if p.ticket == nil {
		return
	}
	text := ""
	if r == Failure && cause != nil {
		text = bounded(cause.Error()) // foreign code: outside the lock
	}
	b := p.ticket.breaker
	b.mu.Lock()
	if p.ticket.serial == p.serial {
		b.reportLocked(p.ticket, r, text, now)
	}
	b.unlock()
}

// reportLocked spends t and, if it is of the current generation, counts its result.
func (b *Breaker) reportLocked(t *ticket, r Result, text string, now time.Time) {
	current := t.generation == b.generation
	done := b.spendLocked(t)
	if !current {
		return // gobreaker would move from open to half-open on hearing of it
	}
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
