package limiter

import (
	"math"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// drawRate draws rates evenly over their orders of magnitude.
func drawRate(t *rapid.T) Rate {
	perSecond := math.Min(math.Pow(10, rapid.Float64Range(-3, 9).Draw(t, "log rate")), 1e9)
	burst := int(math.Pow(10, rapid.Float64Range(0, 9).Draw(t, "log burst")))
	r, err := NewRate(perSecond, burst)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Promise P13, first half: in every span of time, whatever the order of the timestamps.
func TestNeverAdmitsTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		r.burst = min(r.burst, 20) // so that a few requests reach it
		table := NewTable(r, NewBudget(0))
		interval := 1e9 / r.perSecond
		origin := rapid.Int64Range(0, 1<<60).Draw(t, "origin") // the clock's zero is long ago
		var admitted []int64
		for range rapid.IntRange(1, 150).Draw(t, "requests") {
			now := origin + int64(interval*rapid.Float64Range(0, 30).Draw(t, "at"))
			if table.Take(1, now).OK {
				admitted = append(admitted, now)
			}
		}
		slices.Sort(admitted)
		for i, from := range admitted {
			for j := i; j < len(admitted); j++ {
				n, span := j-i+1, float64(admitted[j]-from)/1e9
				if limit := float64(r.burst) + r.perSecond*span + 1; float64(n) > limit+1e-6 {
					t.Fatalf("%v/s, burst %d: %d admitted in %v s, want at most %v", r.perSecond, r.burst, n, span, limit)
				}
			}
		}
	})
}

// Promise P13, second half, for a client that asks until it is refused, waits as told, and asks again. Its clock has no
// fractions of a nanosecond, so that fast rates need a burst to bridge them.
func TestAllowanceIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		r.burst = min(r.burst, 500)
		if r.perSecond > 1e6 {
			r.burst = max(r.burst, 4)
		}
		table := NewTable(r, NewBudget(0))
		start := rapid.Int64Range(0, 1<<55).Draw(t, "start")
		now, admitted := start, 0
		for admitted < 2_000 {
			d := table.Take(1, now)
			if d.OK {
				admitted++
				continue
			}
			if d.RetryAfter <= 0 {
				t.Fatalf("refused with RetryAfter %v, want more than 0", d.RetryAfter)
			}
			now += int64(d.RetryAfter)
			if d = table.Take(1, now); !d.OK {
				t.Fatalf("refused after waiting as told: %+v", d)
			}
			admitted++
		}
		allowance := float64(r.burst) + r.perSecond*float64(now-start)/1e9
		if float64(admitted) < 0.99*allowance || float64(admitted) > allowance+1 {
			t.Fatalf("%v/s, burst %d: %d admitted, want 99 to 100 %% of %v", r.perSecond, r.burst, admitted, allowance)
		}
	})
}

// x/time/rate decides the same wherever time goes forward and rounding does not: where its bucket is not within a
// thousandth of exactly one token.
func TestAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, burst := rapid.Float64Range(0.01, 1e5).Draw(t, "rate"), rapid.IntRange(1, 50).Draw(t, "burst")
		r, err := NewRate(perSecond, burst)
		if err != nil {
			t.Fatal(err)
		}
		table, oracle := NewTable(r, NewBudget(0)), rate.NewLimiter(rate.Limit(perSecond), burst)
		now := int64(0)
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now += int64(rapid.Float64Range(0, 2).Draw(t, "pause") * 1e9 / perSecond)
			at := time.Unix(0, now)
			if math.Abs(oracle.TokensAt(at)-1) < 1e-3 {
				continue
			}
			if got, want := table.Take(1, now).OK, oracle.AllowN(at, 1); got != want {
				t.Fatalf("at %d ns: admitted = %v, x/time/rate %v", now, got, want)
			}
		}
	})
}

// What a decision says of the future holds: Remaining requests pass at once, and after ResetAfter the bucket is full.
func TestDecisionIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		r.burst = min(r.burst, 30)
		now := rapid.Int64Range(0, 1<<55).Draw(t, "now")
		tat, d := int64(0), Decision{}
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			tat, d = r.take(tat, now)
		}
		if _, full := r.take(tat, now+int64(d.ResetAfter)); full.Remaining != int64(r.burst)-1 {
			t.Fatalf("after ResetAfter %v: %d remaining, want %d", d.ResetAfter, full.Remaining, r.burst-1)
		}
		for range d.Remaining {
			if tat, d = r.take(tat, now); !d.OK {
				t.Fatalf("refused although tokens remained")
			}
		}
		if _, d = r.take(tat, now); d.OK {
			t.Fatalf("admitted although no token remained")
		}
	})
}

// A sequence of updates never makes tokens: after each, there are at most as many as before.
func TestUpdateMakesNoTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		now := rapid.Int64Range(0, 1<<55).Draw(t, "now")
		tat, d := r.take(0, now)
		left := d.Remaining
		for range 10 {
			next := drawRate(t)
			tat = r.convert(tat, &next, now)
			r = next
			if tat, d = r.take(tat, now); d.OK {
				d.Remaining++
			}
			if want := min(left, int64(r.burst)); d.Remaining != want {
				t.Fatalf("%d tokens after the update, want %d", d.Remaining, want)
			}
			left = max(d.Remaining-1, 0)
		}
	})
}
