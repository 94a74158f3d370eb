// Package limiter counts requests per client with token buckets (GCRA). It is used by the rate limit middleware, knows no
// HTTP and keeps no clock: callers pass monotonic nanoseconds, 0 or later.
//
// A Table holds the buckets of one service; a Budget bounds those of all tables together. A bucket is one word, and one
// that nobody used yet is not stored: it is full.
//
// A limit is never exceeded: in any span of t seconds a client gets at most burst + rate × t requests and one, also if
// timestamps arrive out of order, and at least 99 % of its allowance if it asks often enough. Beyond the budget, full
// buckets are dropped first, which forgets nothing; if none is near, any one is, whose client then starts with a full one.
//
// Everything in it is safe for concurrent use.
package limiter

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Limits of a Rate.
const (
	maxPerSecond = 1e9
	maxBurst     = 1_000_000_000
)

const (
	maxShift    = 31          // burst in units then stays below 2^61
	maxUnits    = 1 << 61     // units are cut here, at 68 years or more, so that two bursts can be added
	speedPlaces = 62          // binary places of Rate.speed
	oneSecond   = 1e9         // in nanoseconds
	rounding    = 1 + 0x1p-50 // more than the error of the few floating-point operations it makes up for
)

// Rate is what a bucket is filled with, and how much it holds. The zero Rate admits nothing.
//
// Tokens are counted in units of 2^-shift. The clock is measured in units too, those that have come in since its zero;
// that is rounded on reading, so a token's price is exact and no error adds up, whatever the rate.
type Rate struct {
	perSecond float64
	burst     int
	shift     uint
	speed     uint64  // units a nanosecond, times 2^62; at most 1.08 units
	nanos     float64 // nanoseconds a unit
}

// NewRate returns the rate of perSecond requests a second, in (0, 1e9], in bursts of up to burst, 1 to 1e9.
func NewRate(perSecond float64, burst int) (Rate, error) {
	if !(perSecond > 0 && perSecond <= maxPerSecond) { // false for NaN
		return Rate{}, fmt.Errorf("rate: out of range, got %v (want more than 0, at most 1e9)", perSecond)
	}
	if burst < 1 || burst > maxBurst {
		return Rate{}, fmt.Errorf("burst: out of range, got %d (want 1 to 1e9)", burst)
	}
	r := Rate{perSecond: perSecond, burst: burst}
	_, exponent := math.Frexp(perSecond) // perSecond < 2^exponent
	r.shift = uint(min(max(0, 30-exponent), maxShift))
	units := math.Ldexp(perSecond, int(r.shift)) / oneSecond // a nanosecond
	r.speed = uint64(math.Nextafter(math.Ldexp(units, speedPlaces), 0))
	r.nanos = 1 / units
	return r, nil
}

// PerSecond returns the tokens that come in each second.
func (r Rate) PerSecond() float64 { return r.perSecond }

// Burst returns how many tokens a bucket holds.
func (r Rate) Burst() int { return r.burst }

// unitsAt returns how many units have come in since the clock's zero.
func (r *Rate) unitsAt(now int64) int64 {
	hi, lo := bits.Mul64(uint64(max(0, now)), r.speed)
	lo, carry := bits.Add64(lo, 1<<(speedPlaces-1), 0) // to the nearest: speed, rounded down, misses whole tokens by a hair
	hi += carry
	return int64(min(hi<<(64-speedPlaces)|lo>>speedPlaces, maxUnits))
}

// capacity returns the units a full bucket holds.
func (r *Rate) capacity() int64 { return int64(r.burst) << r.shift }

// wait returns the time in which units come in, rounded up, as far as a Duration goes.
func (r *Rate) wait(units int64) time.Duration {
	if units <= 0 {
		return 0
	}
	nanos := math.Ceil(float64(units) * r.nanos * rounding)
	if nanos >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanos)
}

// Decision is the answer to one request.
type Decision struct {
	OK         bool
	Remaining  int64         // whole tokens left: requests that would be admitted at once
	RetryAfter time.Duration // refused: until a token is there, if nobody else takes it; else 0
	ResetAfter time.Duration // until the bucket is full, if nobody takes from it
}

// take asks for one token of the bucket tat, its theoretical arrival time: the reading of unitsAt at which it is full. It
// returns the bucket as it is afterwards.
func (r *Rate) take(tat, now int64) (int64, Decision) {
	units, capacity := r.unitsAt(now), r.capacity()
	missing := max(tat-units, 0) // what the bucket lacks
	if after := missing + 1<<r.shift; after <= capacity {
		return units + after, Decision{OK: true, Remaining: (capacity - after) >> r.shift, ResetAfter: r.wait(after)}
	}
	return tat, Decision{RetryAfter: r.wait(missing + 1<<r.shift - capacity), ResetAfter: r.wait(missing)}
}

// convert returns the bucket tat of r as one of next: its level is kept, capped at next's burst.
func (r *Rate) convert(tat int64, next *Rate, now int64) int64 {
	level := r.capacity() - max(tat-r.unitsAt(now), 0)
	level = max(level, -r.capacity()) // below 0 if now is earlier than a request's: a debt, kept as well
	capped := next.capacity()
	switch {
	case level>>r.shift >= int64(next.burst):
		level = capped
	case next.shift >= r.shift:
		level <<= next.shift - r.shift
	default:
		level >>= r.shift - next.shift
	}
	return next.unitsAt(now) + capped - level
}
