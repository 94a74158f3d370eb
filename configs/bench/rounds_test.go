package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRoundsAreInterleavedAndRotated(t *testing.T) {
	var order strings.Builder
	measured := uint64(0)
	b := &bed{targets: []*target{{name: "a"}, {name: "b"}, {name: "c"}}}
	b.per = request
	b.measure = func(_ context.Context, _ *bed, t *target, lasting time.Duration) (sample, error) {
		order.WriteString(t.name)
		if lasting == time.Second {
			order.WriteByte('!')
		}
		measured++
		return sample{requests: measured, cpu: time.Second, lasted: lasting}, nil
	}
	r, err := b.compare(t.Context(), options{rounds: 4, duration: time.Minute, warmup: time.Second}, func(string, ...any) { order.WriteByte(' ') })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "a!b!c!abc bca cab abc "; got != want {
		t.Errorf("measured %q, want %q", got, want)
	}
	numbers := make([][]float64, len(r.samples))
	for i := range r.samples {
		numbers[i] = each(r.samples[i], func(s sample) float64 { return float64(s.requests) })
	}
	if diff := cmp.Diff([][]float64{{4, 9, 11, 13}, {5, 7, 12, 14}, {6, 8, 10, 15}}, numbers); diff != "" {
		t.Errorf("samples of each in the order of the rounds (-want +got)\n%s", diff)
	}
}

// One sample that is worth nothing ends the scenario, by name.
func TestRoundsEndWithTheFirstError(t *testing.T) {
	b := &bed{targets: []*target{{name: "a"}, {name: "b"}}}
	b.per = request
	b.measure = func(_ context.Context, _ *bed, t *target, _ time.Duration) (sample, error) {
		if t.name == "b" {
			return sample{}, errors.New("refused")
		}
		return sample{requests: 1}, nil
	}
	_, err := b.compare(t.Context(), options{rounds: 2}, func(string, ...any) {})
	if !matches(err, "b: refused") {
		t.Errorf("compare = %v, want b: refused", err)
	}
}

// What is missing here leaves its row out, by name.
func TestLeftOut(t *testing.T) {
	say := func(string, ...any) {}
	b := &bed{scenario: scenario{program: "no-such-load-generator"}}
	if _, err := b.runOn(t.Context(), options{}, []int{0, 1}, nil, say); !errors.Is(err, errLeftOut) || !matches(err, "no-such-load-generator is not found") {
		t.Errorf("runOn = %v, want the program by name", err)
	}
	b = &bed{targets: []*target{{name: gateway}}}
	b.prepare = halfOfPeak
	if _, err := b.compare(t.Context(), options{rounds: 1}, say); !errors.Is(err, errLeftOut) || !matches(err, "HAProxy is not found") {
		t.Errorf("compare = %v, want HAProxy by name", err)
	}
}

func TestPresent(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	found, absent := present()
	if len(found) != 1 || found[0].name != gateway {
		t.Errorf("found %v, want the gateway alone", found)
	}
	if diff := cmp.Diff([]string{haproxy, nginx}, absent); diff != "" {
		t.Errorf("absent (-want +got)\n%s", diff)
	}
}
