package configs

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	guarded   = "auth_apikey, rate_limit, circuit_breaker, metrics"
	threshold = 6 // as in the sample
)

// trip lets a service fail until its breaker opens: threshold requests notice, the next one is told to come back later.
func (f *fleet) trip(p *plane, path string) {
	f.t.Helper()
	for range threshold {
		f.expect(p, path, fileKey, answer{status: http.StatusBadGateway})
	}
	got := f.expect(p, path, fileKey, answer{status: http.StatusServiceUnavailable})
	if wait, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || wait < 1 {
		f.t.Errorf("Retry-After = %q, want whole seconds", got.header.Get("Retry-After"))
	}
}

// awaitBreaker returns a breaker of data plane a once the control plane shows it in a state.
func (f *fleet) awaitBreaker(service string, state gatewayv1.CircuitState) *gatewayv1.BreakerState {
	f.t.Helper()
	var last *gatewayv1.BreakerState
	f.awaitOr("the breaker to be "+state.String(), func() bool {
		last = f.breakers(service)["a"]
		return last.GetState() == state
	}, func() string { return last.String() })
	return last
}

func TestBreakersOpenAndClose(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	backends := []*backend{newBackend(t, "backend-1"), newBackend(t, "backend-2")}
	f.write(configuration(
		service("soon", guarded, unlimited+", cb_failure_threshold: 6, cb_reset_timeout_seconds: 1", backends...),
		service("late", guarded, unlimited+", cb_failure_threshold: 6, cb_reset_timeout_seconds: 3600", backends...),
	))
	f.startControl()
	a, b := f.startData("a"), f.startData("b")
	f.awaitServing()
	for _, p := range []*plane{a, b} {
		f.expect(p, "/soon", fileKey, answer{status: 200})
		f.expect(p, "/late", fileKey, answer{status: 200})
	}
	started := time.Now()
	for _, b := range backends {
		b.stop()
	}
	for _, name := range []string{"soon", "late"} {
		f.trip(a, "/"+name)
		open := f.awaitBreaker(name, gatewayv1.CircuitState_CIRCUIT_STATE_OPEN)
		if since := time.UnixMilli(open.GetSinceMs()); since.Before(started.Truncate(time.Millisecond)) || since.After(time.Now()) ||
			open.GetTrips() != 1 || open.GetConsecutiveFailures() != threshold || !strings.Contains(open.GetLastError(), "connection refused") {
			t.Errorf("%s on a = %v, want open since now, once, after %d refused connections", name, open, threshold)
		}
		if other := f.breakers(name)["b"]; other.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED {
			t.Errorf("%s on b = %v, want closed: it saw no failure", name, other)
		}
		if got := f.metrics(a)[`gateway_circuit_breaker_state{service="`+name+`"}`]; got != 1 {
			t.Errorf("gateway_circuit_breaker_state of %s = %v, want 1", name, got)
		}
	}
	for _, b := range backends {
		b.start(t)
	}
	f.closesByItself(a)
	f.closesByReset(a)
}

// closesByItself: the first request after the reset time is the probe; its success closes the breaker.
func (f *fleet) closesByItself(p *plane) {
	f.t.Helper()
	probe := time.UnixMilli(f.breakers("soon")["a"].GetNextProbeAtMs() + 1)
	f.await("the reset time", func() bool { return time.Now().After(probe) })
	f.expect(p, "/soon", fileKey, answer{status: 200})
	f.awaitBreaker("soon", gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED)
	f.expect(p, "/soon", fileKey, answer{status: 200})
}

// closesByReset: an operator's reset closes at once, long before the reset time.
func (f *fleet) closesByReset(p *plane) {
	f.t.Helper()
	f.expect(p, "/late", fileKey, answer{status: 503})
	ctx, cancel := f.call()
	defer cancel()
	resp, err := gatewayv1.NewBreakerServiceClient(f.conn).ResetBreaker(ctx, &gatewayv1.ResetBreakerRequest{Service: "late"})
	if err != nil || len(resp.GetRollout().GetApplied()) != 2 {
		f.t.Fatalf("reset = %v, %v, want it applied on both", resp, err)
	}
	f.expect(p, "/late", fileKey, answer{status: 200})
	closed := f.awaitBreaker("late", gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED)
	if closed.GetConsecutiveFailures() != 0 || closed.GetTrips() != 1 {
		f.t.Errorf("late on a = %v, want no failures in a row and the trip still counted", closed)
	}
}

// One bad backend of two costs a handful of requests, or none, and does not open the breaker.
func TestOneBadBackendOfTwo(t *testing.T) {
	t.Parallel()
	const requests = 200
	tests := []struct {
		name string
		harm func(*backend)
		most int // requests that may fail
	}{
		{"refuses connections", (*backend).stop, 0},
		{"answers 500", func(b *backend) { b.broken.Store(true) }, threshold},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			good, bad := newBackend(t, "backend-1"), newBackend(t, "backend-2")
			f.write(configuration(service("users", guarded, unlimited+", cb_failure_threshold: 6, cb_reset_timeout_seconds: 3600", good, bad)))
			f.startControl()
			p := f.startData("a")
			f.awaitServing()
			tt.harm(bad)
			failed := 0
			for range requests {
				if f.get(p, "/users", fileKey).status != http.StatusOK {
					failed++
				}
			}
			if failed > tt.most {
				t.Errorf("%d of %d requests failed, want at most %d", failed, requests, tt.most)
			}
			state := f.breakers("users")["a"]
			if state.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED || state.GetTrips() != 0 {
				t.Errorf("breaker = %v, want it closed all the time", state)
			}
			f.awaitOr("the bad URL to be passed over", func() bool {
				state = f.breakers("users")["a"]
				urls := state.GetUrls()
				return len(urls) == 2 && urls[1].GetState() == gatewayv1.CircuitState_CIRCUIT_STATE_OPEN && urls[1].GetLastError() != ""
			}, func() string { return state.String() })
		})
	}
}
