package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchdog: who is waited for decides which limit runs, and what moves in either direction starts it anew.
func TestWatchdog(t *testing.T) {
	const head, body, idle = 30 * time.Second, time.Minute, time.Hour
	pass := func(d time.Duration) func(*watchdog) { return func(*watchdog) { time.Sleep(d) } } // the bubble's clock
	expect := func(d *watchdog) { d.expect(body) }
	tests := []struct {
		name  string
		idle  time.Duration
		steps []func(*watchdog)
		cause error // nil: nothing ends it
		after time.Duration
	}{
		{"no head", 0, []func(*watchdog){(*watchdog).backend}, errFirstByte, head},
		{"no head after a piece", 0, []func(*watchdog){(*watchdog).backend, pass(20 * time.Second), (*watchdog).client, pass(idle), (*watchdog).backend}, errFirstByte, idle + 50*time.Second},
		{"client awaited", 0, []func(*watchdog){(*watchdog).backend, (*watchdog).client}, nil, 0},
		{"client of a stream awaited", idle, []func(*watchdog){(*watchdog).backend, (*watchdog).client}, errClientSilent, idle},
		{"head here", 0, []func(*watchdog){(*watchdog).backend, (*watchdog).head, (*watchdog).backend}, nil, 0},
		{"body", 0, []func(*watchdog){(*watchdog).head, expect}, errSilent, body},
		{"body, client awaited", idle, []func(*watchdog){(*watchdog).head, expect, (*watchdog).client}, errSilent, body},
		{"body, a piece of the request", idle, []func(*watchdog){(*watchdog).head, expect, pass(50 * time.Second), (*watchdog).backend}, errSilent, body + 50*time.Second},
		{"nothing awaited", 0, []func(*watchdog){(*watchdog).head, expect, (*watchdog).rest, (*watchdog).backend}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				d := watchdog{cancel: cancel, firstByte: head, idle: tt.idle}
				start := time.Now()
				for _, step := range tt.steps {
					step(&d)
				}
				select {
				case <-ctx.Done():
				case <-time.After(24 * time.Hour):
				}
				if got := context.Cause(ctx); !errors.Is(got, tt.cause) {
					t.Errorf("cause = %v, want %v", got, tt.cause)
				}
				if got := time.Since(start); tt.cause != nil && got != tt.after {
					t.Errorf("ended after %v, want %v", got, tt.after)
				}
			})
		})
	}
}
