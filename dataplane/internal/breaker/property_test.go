package breaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// model is a breaker in its simplest form: the same promises, no gobreaker, no reuse.
type model struct {
	settings   Settings
	state      State
	failures   int
	generation int
	since      time.Time
	nextProbe  time.Time
	probe      *modelPermit
	trips      uint64
}

type modelPermit struct {
	real       Permit
	generation int
	spent      bool
}

func (m *model) move(to State, now time.Time) {
	if m.state == Closed && to == Open {
		m.trips++
	}
	m.state, m.since, m.probe = to, now, nil
	m.generation++
	m.nextProbe = time.Time{}
	if to == Open {
		m.nextProbe = now.Add(m.settings.ResetTimeout)
	}
}

func (m *model) allow(now time.Time) *modelPermit {
	if now.Before(m.nextProbe) {
		return nil
	}
	if m.state == Open {
		m.move(HalfOpen, now)
	}
	if m.probe != nil {
		m.probe.spent = true
	}
	p := &modelPermit{generation: m.generation}
	if m.state == HalfOpen {
		m.probe, m.nextProbe = p, now.Add(probeTimeout)
	}
	return p
}

func (m *model) done(p *modelPermit, r Result, now time.Time) {
	if p.spent || p.generation != m.generation {
		return
	}
	p.spent = true
	if m.state == HalfOpen {
		m.probe, m.nextProbe = nil, m.since
	}
	switch r {
	case Success:
		m.failures = 0
		if m.state == HalfOpen {
			m.move(Closed, now)
		}
	case Failure:
		m.failures++
		if m.state == HalfOpen || m.failures >= m.settings.FailureThreshold {
			m.move(Open, now)
		}
	}
}

func (m *model) reset(now time.Time) {
	if m.state != Closed {
		m.move(Closed, now)
	}
	m.generation++
	m.failures = 0
}

func (m *model) status() Status {
	return Status{
		State: m.state, Since: m.since, ConsecutiveFailures: m.failures, Trips: m.trips, NextProbeAt: m.nextProbe,
	}
}

// Promise P14 in one goroutine: any sequence of calls leaves the breaker where the model is.
func TestAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Settings{FailureThreshold: 2, ResetTimeout: 5 * time.Second}
		b, m, now := New(s, nil), &model{settings: s}, start
		var permits []*modelPermit
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				seconds := rapid.SampledFrom([]int{1, 2, 3, 4, 15, 29}).Draw(t, "seconds")
				now = now.Add(time.Duration(seconds) * time.Second)
			},
			"allow": func(t *rapid.T) {
				got, ok := b.Allow(now)
				p := m.allow(now)
				if ok != (p != nil) {
					t.Fatalf("Allow = %v, want %v", ok, p != nil)
				}
				if p != nil {
					p.real = got
					permits = append(permits, p)
				}
			},
			"done": func(t *rapid.T) {
				if len(permits) == 0 {
					return
				}
				p := rapid.SampledFrom(permits).Draw(t, "permit") // finished ones too
				r := rapid.SampledFrom([]Result{Success, Failure, Failure, Failure, Ignored}).Draw(t, "result")
				p.real.Done(r, nil, now)
				m.done(p, r, now)
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
					b.Reset(now)
					m.reset(now)
				}
			},
			"update": func(t *rapid.T) {
				m.settings = Settings{
					FailureThreshold: rapid.IntRange(1, 4).Draw(t, "threshold"),
					ResetTimeout:     time.Duration(rapid.IntRange(1, 6).Draw(t, "reset")) * time.Second,
				}
				b.Update(m.settings)
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(m.status(), b.Status()); diff != "" {
					t.Fatalf("status (-model +breaker):\n%s", diff)
				}
			},
		})
	})
}

// Promise P14 under concurrency: of all that ask a half-open breaker, one at a time is admitted.
func TestOneProbeAtATime(t *testing.T) {
	b := New(settings, nil)
	fail(t, b, settings.FailureThreshold)
	var wg sync.WaitGroup
	var probes, admitted atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 2_000 {
				p, ok := b.Allow(at(10 * time.Second))
				if !ok {
					continue
				}
				if n := probes.Add(1); n != 1 {
					t.Errorf("%d probes at a time, want 1", n)
				}
				admitted.Add(1)
				probes.Add(-1)
				p.Done(Ignored, nil, at(10*time.Second))
				p.Done(Success, nil, at(10*time.Second))
			}
		})
	}
	wg.Wait()
	if admitted.Load() == 0 {
		t.Error("no probe was admitted")
	}
	state(t, b, HalfOpen)
}

// Exactly the Nth failure opens, however many goroutines report; and every change is told, in order, without the lock.
func TestConcurrentFailures(t *testing.T) {
	const threshold = 500
	var b *Breaker
	var told []change // one call at a time: the race detector watches
	b = New(Settings{FailureThreshold: threshold, ResetTimeout: time.Second}, func(from, to State) {
		b.Status()
		told = append(told, change{from, to})
	})
	for round := range 20 {
		now := at(time.Duration(round) * time.Hour)
		permits := make([]*Permit, threshold)
		for i := range permits {
			permits[i] = allow(t, b, now)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := g; i < threshold-1; i += 4 {
					permits[i].Done(Failure, errDown, now)
					permits[i].Done(Failure, errDown, now)
				}
			})
		}
		wg.Wait()
		state(t, b, Closed)
		permits[threshold-1].Done(Failure, errDown, now)
		state(t, b, Open)
		allow(t, b, now.Add(time.Second)).Done(Success, nil, now.Add(time.Second))
	}
	for i, c := range told {
		if want := []change{{Closed, Open}, {Open, HalfOpen}, {HalfOpen, Closed}}[i%3]; c != want {
			t.Fatalf("change %d = %v, want %v", i, c, want)
		}
	}
	if len(told) != 60 {
		t.Errorf("%d changes told, want 60", len(told))
	}
}

// Changes that onChange itself causes are told after it has returned, and nothing deadlocks.
func TestOnChangeMayCallTheBreaker(t *testing.T) {
	var b *Breaker
	var told []change
	b = New(settings, func(from, to State) {
		told = append(told, change{from, to})
		if to == Open {
			b.Reset(start)
			if len(told) != 1 {
				t.Errorf("told %v inside of a call", told)
			}
		}
	})
	fail(t, b, settings.FailureThreshold)
	if diff := cmp.Diff([]change{{Closed, Open}, {Open, Closed}}, told, cmp.AllowUnexported(change{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// Changes of many goroutines are told in the order in which they happened.
func TestChangesAreToldInOrder(t *testing.T) {
	last := Closed
	b := New(Settings{FailureThreshold: 1}, func(from, to State) {
		if from != last {
			t.Errorf("change from %v, want from %v", from, last)
		}
		last = to
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2_000 {
				if p, ok := b.Allow(start); ok {
					p.Done(Result(i%2), errors.New("down"), start)
				}
			}
		})
	}
	wg.Wait()
	if got := b.Status().State; got != last {
		t.Errorf("last told %v, want %v", last, got)
	}
}

func TestAllocations(t *testing.T) {
	b := New(settings, nil)
	n := testing.AllocsPerRun(100, func() {
		p, _ := b.Allow(start)
		p.Done(Success, nil, start)
	})
	if n != 0 {
		t.Errorf("Allow and Done of a calm breaker allocate %v times, want 0", n)
	}
}
