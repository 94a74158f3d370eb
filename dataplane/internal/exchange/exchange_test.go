package exchange

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type recorder struct {
	name string
	log  *[]string
}

func (r *recorder) Settled(x *Exchange) {
	*r.log = append(*r.log, r.name+":"+x.Outcome.Failed.String()+":"+x.Outcome.Reason)
}

func TestSettleTellsObserversOnceInReverse(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	tests := []struct {
		name      string
		observers int
		want      []string
	}{
		{"none", 0, nil},
		{"one", 1, []string{"a:client:gone"}},
		{"inline", 4, []string{"d:client:gone", "c:client:gone", "b:client:gone", "a:client:gone"}},
		{"more", 6, []string{
			"f:client:gone", "e:client:gone", "d:client:gone", "c:client:gone", "b:client:gone", "a:client:gone",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			x := New(t.Context())
			for _, name := range names[:tt.observers] {
				x.Observe(&recorder{name, &log})
			}
			if x.Settled() {
				t.Error("Settled() = true before Settle, want false")
			}
			x.Settle(Outcome{Failed: Client, Reason: "gone"})
			x.Settle(Outcome{Failed: Upstream, Reason: "late"})
			if diff := cmp.Diff(tt.want, log); diff != "" {
				t.Errorf("observers (-want +got):\n%s", diff)
			}
			if !x.Settled() || x.Outcome.Failed != Client {
				t.Errorf("Settled() = %v, Outcome = %v; want the first outcome", x.Settled(), x.Outcome)
			}
		})
	}
}

func TestFrom(t *testing.T) {
	type other struct{}
	parent := context.WithValue(t.Context(), other{}, "kept")
	x := New(parent)
	derived, cancel := context.WithCancel(x)
	defer cancel()
	tests := []struct {
		name string
		ctx  context.Context
		want *Exchange
	}{
		{"itself", x, x},
		{"derived", derived, x},
		{"absent", parent, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := From(tt.ctx); got != tt.want {
				t.Errorf("From(%s) = %p, want %p", tt.name, got, tt.want)
			}
		})
	}
	if got := derived.Value(other{}); got != "kept" {
		t.Errorf("Value of the parent = %v, want kept", got)
	}
}

func TestCancellationComesFromTheParent(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	x := New(parent)
	cause := errors.New("gone")
	cancel(cause)
	if x.Err() == nil || !errors.Is(context.Cause(x), cause) {
		t.Errorf("Err() = %v, Cause = %v; want the parent's", x.Err(), context.Cause(x))
	}
}

func TestAllocations(t *testing.T) {
	x := New(t.Context())
	var log []string
	o := &recorder{"a", &log}
	if got := testing.AllocsPerRun(100, func() {
		x.count = 0
		for range inlineObservers {
			x.Observe(o)
		}
		_ = From(x)
	}); got != 0 {
		t.Errorf("Observe and From allocate %v times, want 0", got)
	}
}
