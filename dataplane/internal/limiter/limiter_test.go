package limiter

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const second = int64(time.Second)

func TestNewRate(t *testing.T) {
	tests := []struct {
		name      string
		perSecond float64
		burst     int
		want      string
	}{
		{"smallest", math.SmallestNonzeroFloat64, 1, ""},
		{"largest", 1e9, 1_000_000_000, ""},
		{"zero", 0, 1, "rate: out of range, got 0 (want more than 0, at most 1e9)"},
		{"negative", -1, 1, "rate: out of range, got -1 (want more than 0, at most 1e9)"},
		{"NaN", math.NaN(), 1, "rate: out of range, got NaN (want more than 0, at most 1e9)"},
		{"infinite", math.Inf(1), 1, "rate: out of range, got +Inf (want more than 0, at most 1e9)"},
		{"above", 1e9 + 1, 1, "rate: out of range, got 1.000000001e+09 (want more than 0, at most 1e9)"},
		{"no burst", 1, 0, "burst: out of range, got 0 (want 1 to 1e9)"},
		{"burst above", 1, 1_000_000_001, "burst: out of range, got 1000000001 (want 1 to 1e9)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRate(tt.perSecond, tt.burst)
			got := ""
			if err != nil {
				got = err.Error()
			} else if r.PerSecond() != tt.perSecond || r.Burst() != tt.burst {
				t.Errorf("NewRate(%v, %d) = %v, %d", tt.perSecond, tt.burst, r.PerSecond(), r.Burst())
			}
			if got != tt.want {
				t.Errorf("NewRate(%v, %d): %q, want %q", tt.perSecond, tt.burst, got, tt.want)
			}
		})
	}
}

func TestTake(t *testing.T) {
	type step struct {
		at   int64
		want Decision
	}
	tests := []struct {
		name      string
		perSecond float64
		burst     int
		steps     []step
	}{
		{"two a second", 2, 2, []step{
			{0, Decision{OK: true, Remaining: 1, ResetAfter: time.Second / 2}},
			{0, Decision{OK: true, Remaining: 0, ResetAfter: time.Second}},
			{0, Decision{RetryAfter: time.Second / 2, ResetAfter: time.Second}},
			{second / 4, Decision{RetryAfter: time.Second / 4, ResetAfter: 3 * time.Second / 4}},
			{second, Decision{OK: true, Remaining: 1, ResetAfter: time.Second / 2}},
		}},
		{"every 1000 s", 0.001, 1, []step{
			{second, Decision{OK: true, ResetAfter: 1000 * time.Second}},
			{2 * second, Decision{RetryAfter: 999 * time.Second, ResetAfter: 999 * time.Second}},
			{1002 * second, Decision{OK: true, ResetAfter: 1000 * time.Second}},
		}},
		{"practically never again", 1e-300, 1, []step{
			{0, Decision{OK: true, ResetAfter: math.MaxInt64}},
			{math.MaxInt64, Decision{RetryAfter: math.MaxInt64, ResetAfter: math.MaxInt64}},
		}},
		{"before zero", 1, 1, []step{
			{math.MinInt64, Decision{OK: true, ResetAfter: time.Second}},
			{0, Decision{RetryAfter: time.Second, ResetAfter: time.Second}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := NewTable(mustRate(t, tt.perSecond, tt.burst), NewBudget(0))
			for i, s := range tt.steps {
				got := table.Take(1, s.at)
				// Durations are rounded up, from units of at most 1 µs below 0.5/s.
				near := cmp.Comparer(func(a, b time.Duration) bool { return a-b < time.Microsecond && b-a < time.Microsecond })
				if diff := cmp.Diff(s.want, got, near); diff != "" {
					t.Errorf("step %d at %d (-want +got):\n%s", i, s.at, diff)
				}
			}
		})
	}
}

func TestZeroRateAdmitsNothing(t *testing.T) {
	table := NewTable(Rate{}, NewBudget(0))
	for range 2 {
		if d := table.Take(1, second); d.OK {
			t.Errorf("Take = %+v, want refused", d)
		}
	}
}

func TestUpdate(t *testing.T) {
	tests := []struct {
		name      string
		perSecond float64
		burst     int
		spent     int
		want      int64 // tokens at once
	}{
		{"same", 10, 100, 40, 60},
		{"faster", 1e9, 100, 40, 60},
		{"slower", 0.001, 100, 40, 60},
		{"larger burst", 10, 1000, 40, 60},
		{"smaller burst, above the level", 10, 70, 40, 60},
		{"smaller burst, below the level", 10, 5, 40, 5},
		{"nothing left", 1000, 1000, 100, 0},
		{"largest", 0.001, 1_000_000_000, 0, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := NewTable(mustRate(t, 10, 100), NewBudget(0))
			now := second
			table.Take(1, 0) // full again at now, yet known
			for range tt.spent {
				table.Take(1, now)
			}
			table.Update(mustRate(t, tt.perSecond, tt.burst), now)
			d := table.Take(1, now)
			got := d.Remaining
			if d.OK {
				got++
			}
			if got != tt.want {
				t.Errorf("tokens after Update = %d, want %d", got, tt.want)
			}
			if r := table.Rate(); r.PerSecond() != tt.perSecond || r.Burst() != tt.burst {
				t.Errorf("Rate = %v, %d, want %v, %d", r.PerSecond(), r.Burst(), tt.perSecond, tt.burst)
			}
		})
	}
}

// An Update whose now is older than a request's does not forgive what was taken.
func TestUpdateOutOfOrder(t *testing.T) {
	table := NewTable(mustRate(t, 10, 10), NewBudget(0))
	for range 10 {
		table.Take(1, 2*second)
	}
	table.Update(mustRate(t, 20, 10), second)
	if d := table.Take(1, second+second/2); d.OK {
		t.Errorf("Take = %+v, want refused: the bucket was empty at 2 s", d)
	}
}

func TestClients(t *testing.T) {
	ip := func(s string) Client { return ForIP(netip.MustParseAddr(s)) }
	same := [][2]Client{
		{ForKey("alice"), ForKey("alice")},
		{ip("192.0.2.7"), ip("::ffff:192.0.2.7")},
		{ip("2001:db8::1"), ip("2001:db8::ffff:0:0:9")},
		{ip("fe80::1%eth0"), ip("fe80::2")},
		{ForIP(netip.Addr{}), 0},
	}
	for i, pair := range same {
		if pair[0] != pair[1] {
			t.Errorf("pair %d: %x and %x, want the same client", i, pair[0], pair[1])
		}
	}
	seen := map[Client]int{}
	for i, c := range []Client{
		ForKey("alice"), ForKey("bob"), ForKey(""), ip("192.0.2.7"), ip("192.0.2.8"), ip("2001:db8::1"),
		ip("2001:db8:0:1::1"), ip("::1"), ip("::ffff:0.0.0.0"), ForKey("192.0.2.7"),
	} {
		if j, ok := seen[c]; ok {
			t.Errorf("clients %d and %d are the same", i, j)
		}
		seen[c] = i
	}
	if ForKey("alice")&keyBit == 0 || ip("192.0.2.7")&keyBit != 0 {
		t.Error("keys and addresses are not kept apart")
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	table, addr := NewTable(mustRate(t, 1, 1), NewBudget(0)), netip.MustParseAddr("2001:db8::1")
	table.Take(ForIP(addr), 0)
	table.Take(ForKey("alice"), 0)
	n := testing.AllocsPerRun(100, func() {
		table.Take(ForIP(addr), second)
		table.Take(ForKey("alice"), second)
	})
	if n != 0 {
		t.Errorf("Take allocates %v times, want 0", n)
	}
}
