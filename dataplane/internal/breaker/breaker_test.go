package breaker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	start    = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	settings = Settings{FailureThreshold: 3, ResetTimeout: 10 * time.Second}
	errDown  = errors.New("connection refused")
)

func at(d time.Duration) time.Time { return start.Add(d) }

// allow returns the permit that must be given at now.
func allow(t *testing.T, b *Breaker, now time.Time) *Permit {
	t.Helper()
	p, ok := b.Allow(now)
	if !ok {
		t.Fatalf("Allow(%v) = refused, want permitted; status %+v", now.Sub(start), b.Status())
	}
	return &p
}

func refuse(t *testing.T, b *Breaker, now time.Time) {
	t.Helper()
	if _, ok := b.Allow(now); ok {
		t.Fatalf("Allow(%v) = permitted, want refused; status %+v", now.Sub(start), b.Status())
	}
}

func fail(t *testing.T, b *Breaker, n int) {
	t.Helper()
	for range n {
		allow(t, b, start).Done(Failure, errDown, start)
	}
}

func state(t *testing.T, b *Breaker, want State) {
	t.Helper()
	if got := b.Status().State; got != want {
		t.Fatalf("State = %v, want %v", got, want)
	}
}

func TestLife(t *testing.T) {
	var changes []change
	b := New(settings, func(from, to State) { changes = append(changes, change{from, to}) })
	fail(t, b, 2)
	allow(t, b, start).Done(Ignored, errDown, start)
	state(t, b, Closed)
	fail(t, b, 1)
	want := Status{
		State: Open, Since: start, ConsecutiveFailures: 3, Trips: 1,
		NextProbeAt: at(10 * time.Second), LastError: "connection refused",
	}
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Fatalf("opened (-want +got):\n%s", diff)
	}

	refuse(t, b, at(10*time.Second-1))
	if got := b.RetryAfter(at(4 * time.Second)); got != 6*time.Second {
		t.Errorf("RetryAfter = %v, want 6s", got)
	}
	probe := allow(t, b, at(10*time.Second))
	refuse(t, b, at(11*time.Second))
	if got := b.RetryAfter(at(11 * time.Second)); got != time.Second {
		t.Errorf("RetryAfter during a probe = %v, want 1s", got)
	}
	probe.Done(Failure, nil, at(12*time.Second))
	want = Status{
		State: Open, Since: at(12 * time.Second), ConsecutiveFailures: 4, Trips: 1,
		NextProbeAt: at(22 * time.Second),
	}
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Fatalf("failed probe (-want +got):\n%s", diff)
	}

	allow(t, b, at(30*time.Second)).Done(Success, nil, at(31*time.Second))
	want = Status{State: Closed, Since: at(31 * time.Second), Trips: 1}
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Fatalf("closed (-want +got):\n%s", diff)
	}
	wantChanges := []change{{Closed, Open}, {Open, HalfOpen}, {HalfOpen, Open}, {Open, HalfOpen}, {HalfOpen, Closed}}
	if diff := cmp.Diff(wantChanges, changes, cmp.AllowUnexported(change{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// An expired open breaker is shown open, and a late result does not move it.
func TestExpiredStaysOpen(t *testing.T) {
	b := New(settings, nil)
	late := allow(t, b, start)
	fail(t, b, 3)
	for _, r := range []Result{Success, Failure, Ignored} {
		late.Done(r, errDown, at(time.Hour))
	}
	state(t, b, Open)
	if got := b.RetryAfter(at(time.Hour)); got != 0 {
		t.Errorf("RetryAfter of an expired breaker = %v, want 0", got)
	}
	state(t, b, Open)
	allow(t, b, at(time.Hour))
	state(t, b, HalfOpen)
}

func TestIgnoredProbeFreesItsPlace(t *testing.T) {
	b := New(settings, nil)
	fail(t, b, 3)
	for range 3 {
		probe := allow(t, b, at(10*time.Second))
		refuse(t, b, at(11*time.Second))
		probe.Done(Ignored, nil, at(11*time.Second))
		state(t, b, HalfOpen)
		if got := b.RetryAfter(at(11 * time.Second)); got != 0 {
			t.Errorf("RetryAfter with the place free = %v, want 0", got)
		}
	}
	allow(t, b, at(11*time.Second)).Done(Success, nil, at(12*time.Second))
	state(t, b, Closed)
}

// A slow probe whose place nobody has claimed still decides.
func TestSlowProbeCounts(t *testing.T) {
	b := New(settings, nil)
	fail(t, b, 3)
	allow(t, b, at(10*time.Second)).Done(Success, nil, at(time.Hour))
	state(t, b, Closed)
}

func TestAbandonedProbeIsSpent(t *testing.T) {
	b := New(settings, nil)
	fail(t, b, 3)
	first := allow(t, b, at(10*time.Second))
	refuse(t, b, at(40*time.Second-1))
	second := allow(t, b, at(40*time.Second))
	first.Done(Success, nil, at(41*time.Second))
	state(t, b, HalfOpen)
	refuse(t, b, at(41*time.Second))
	second.Done(Success, nil, at(41*time.Second))
	state(t, b, Closed)
}

func TestDoneCountsOnce(t *testing.T) {
	b := New(settings, nil)
	p := allow(t, b, start)
	p.Done(Failure, errDown, start)
	q := allow(t, b, start)
	q.Done(Failure, errDown, start)
	r := allow(t, b, start) // takes over q's ticket
	for range 5 {
		p.Done(Failure, errDown, start)
		q.Done(Failure, errDown, start)
	}
	if got := b.Status().ConsecutiveFailures; got != 2 {
		t.Errorf("ConsecutiveFailures = %d, want 2", got)
	}
	r.Done(Success, nil, start)
	if got := b.Status().ConsecutiveFailures; got != 0 {
		t.Errorf("ConsecutiveFailures after a success = %d, want 0", got)
	}
	new(Permit).Done(Failure, errDown, start)
}

func TestReset(t *testing.T) {
	changes := 0
	b := New(settings, func(State, State) { changes++ })
	late := []*Permit{allow(t, b, start), allow(t, b, start), allow(t, b, start)}
	fail(t, b, 3)
	probe := allow(t, b, at(10*time.Second))
	b.Reset(at(11 * time.Second))
	want := Status{State: Closed, Since: at(11 * time.Second), Trips: 1}
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Fatalf("reset (-want +got):\n%s", diff)
	}
	probe.Done(Failure, errDown, at(12*time.Second))
	for _, p := range late {
		p.Done(Failure, errDown, at(12*time.Second))
	}
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Errorf("late results (-want +got):\n%s", diff)
	}
	pending := allow(t, b, at(12*time.Second))
	fail(t, b, 2)
	b.Reset(at(13 * time.Second)) // already closed
	pending.Done(Failure, errDown, at(13*time.Second))
	if diff := cmp.Diff(want, b.Status()); diff != "" {
		t.Errorf("reset while closed (-want +got):\n%s", diff)
	}
	if changes != 3 {
		t.Errorf("changes = %d, want 3", changes)
	}
	fail(t, b, 3)
	state(t, b, Open)
}

func TestUpdate(t *testing.T) {
	b := New(Settings{FailureThreshold: 10, ResetTimeout: 10 * time.Second}, nil)
	fail(t, b, 5)
	b.Update(Settings{FailureThreshold: 2, ResetTimeout: time.Minute})
	state(t, b, Closed)
	fail(t, b, 1)
	state(t, b, Open)
	b.Update(Settings{FailureThreshold: 2, ResetTimeout: time.Second})
	refuse(t, b, at(time.Minute-1))
	allow(t, b, at(time.Minute)).Done(Failure, nil, at(time.Minute))
	refuse(t, b, at(time.Minute+time.Second-1))
	allow(t, b, at(time.Minute+time.Second))
}

func TestZeroSettings(t *testing.T) {
	b := New(Settings{}, nil)
	fail(t, b, 1)
	state(t, b, Open)
	allow(t, b, start)
	refuse(t, b, at(30*time.Second-1))
	allow(t, b, at(30*time.Second))
}

func TestLastError(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"short", "dial: refused", "dial: refused"},
		{"long", strings.Repeat("x", 10_000), strings.Repeat("x", 256)},
		{"rune across the cut", strings.Repeat("x", 255) + "é", strings.Repeat("x", 255)},
		{"rune at the cut", strings.Repeat("x", 254) + "éé", strings.Repeat("x", 254) + "é"},
		{"invalid", "a\xff\xfeb", "a?b"},
		{"long and invalid", strings.Repeat("\x80", 300), "?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := New(settings, nil)
			allow(t, b, start).Done(Failure, errors.New(tt.in), start)
			if got := b.Status().LastError; got != tt.want {
				t.Errorf("LastError = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStateStrings(t *testing.T) {
	got := []string{Closed.String(), Open.String(), HalfOpen.String(), State(9).String()}
	if diff := cmp.Diff([]string{"closed", "open", "half-open", "unknown"}, got); diff != "" {
		t.Errorf("String (-want +got):\n%s", diff)
	}
	if Closed != 0 || Open != 1 || HalfOpen != 2 {
		t.Errorf("numbers = %d %d %d, want 0 1 2", Closed, Open, HalfOpen)
	}
}
