package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	closed = gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED
	open   = gatewayv1.CircuitState_CIRCUIT_STATE_OPEN
	gone   = gatewayv1.CircuitState_CIRCUIT_STATE_UNSPECIFIED
)

// breaker is one that took its state four minutes ago; an open one has its next probe in three seconds.
func breaker(service, dataPlane string, state gatewayv1.CircuitState) *gatewayv1.DataPlaneBreaker {
	s := &gatewayv1.BreakerState{Service: service, State: state, SinceMs: ms(4 * time.Minute)}
	if state == open {
		s.SinceMs, s.ConsecutiveFailures, s.Trips = ms(12*time.Second), 6, 2
		s.NextProbeAtMs, s.LastError = ms(-3*time.Second), "127.0.0.1:8081: connection refused"
	}
	return &gatewayv1.DataPlaneBreaker{Dataplane: dataPlane, State: s}
}

func breakers(all ...*gatewayv1.DataPlaneBreaker) *gatewayv1.ListBreakersResponse {
	return &gatewayv1.ListBreakersResponse{Breakers: all}
}

// TestBreakerStatus checks the table of the design word for word.
func TestBreakerStatus(t *testing.T) {
	f := &fake{breakers: pagesOf[gatewayv1.ListBreakersResponse]{pages: []*gatewayv1.ListBreakersResponse{
		breakers(breaker("orders", "edge-1", closed)),
		breakers(breaker("users", "edge-2", closed), breaker("users", "edge-1", open)),
	}}}
	want := `SERVICE  DATAPLANE  STATE   SINCE  TRIPS  NEXT PROBE  CAUSE
users    edge-1     open    12s    2      in 3s       6 failures in a row, last: 127.0.0.1:8081: connection refused
users    edge-2     closed  4m     0      –           –
orders   edge-1     closed  4m     0      –           –
users: data planes disagree, 1 of 2 open
`
	if diff := cmp.Diff(result{0, want, ""}, f.gatewayctl(t, "breaker status")); diff != "" {
		t.Errorf("breaker status (-want +got):\n%s", diff)
	}
}

func TestBreakerStatusAnswers(t *testing.T) {
	const unknown = "gatewayctl: no data plane has reported a circuit breaker of a service \"userz\"\n"
	one := pagesOf[gatewayv1.ListBreakersResponse]{pages: []*gatewayv1.ListBreakersResponse{breakers(breaker("users", "a", closed))}}
	synced := pagesOf[gatewayv1.ListBreakersResponse]{pages: []*gatewayv1.ListBreakersResponse{{Synced: true}}}
	refused := pagesOf[gatewayv1.ListBreakersResponse]{err: status.Error(codes.NotFound, `service "userz" not found`)}
	var none pagesOf[gatewayv1.ListBreakersResponse]
	tests := []struct {
		name, line string
		breakers   pagesOf[gatewayv1.ListBreakersResponse]
		want       result
	}{
		{"JSON", "breaker status -o json", one, result{0, `[{"service":"users","dataplane":"a","state":"closed",` +
			`"since":"2026-11-23T11:56:00.000Z","consecutive_failures":0,"trips":0,"next_probe_at":null,"last_error":null,"urls":[]}]` + "\n", ""}},
		{"none", "breaker status", none, result{0, "no data plane has reported a circuit breaker\n", ""}},
		{"none in JSON", "breaker status -o json", none, result{0, "[]\n", ""}},
		{"unknown", "breaker status userz", none, result{1, "", unknown}},
		{"unknown in JSON", "breaker status userz -o json", none, result{1, "", unknown}},
		{"unknown in a watch", "breaker status userz --watch", synced, result{1, "", unknown}},
		{"refused", "breaker status userz", refused, result{1, "", "gatewayctl: service \"userz\" not found\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{breakers: tt.breakers}
			if diff := cmp.Diff(tt.want, f.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// watched is a watch that begins with two breakers; then one opens, then it is gone.
func watched() *fake {
	first := breakers(breaker("users", "a", closed), breaker("users", "b", closed))
	first.Synced = true
	return &fake{breakers: pagesOf[gatewayv1.ListBreakersResponse]{
		pages: []*gatewayv1.ListBreakersResponse{
			first, breakers(breaker("users", "a", open)), breakers(breaker("users", "a", gone)),
		},
		hang: true,
	}}
}

// until is a stdout that ends a context once something was written to it.
type until struct {
	bytes.Buffer
	text string
	done func()
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Buffer.Write(b)
	if strings.Contains(u.String(), u.text) {
		u.done()
	}
	return n, err
}

// watch runs a command line until its stdout holds some text, which must end it with 0.
func (f *fake) watch(t *testing.T, line, text string, draws bool) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p, _, stderr := process(line, f.start(t))
	stdout := &until{text: text, done: cancel}
	p.Stdout, p.Draws = stdout, draws
	if code := Run(ctx, p); code != 0 || stderr.Len() > 0 {
		t.Errorf("gatewayctl %s = %d, %q, want 0 and no error", line, code, stderr)
	}
	return stdout.String()
}

func TestBreakerWatch(t *testing.T) {
	t.Run("lines", func(t *testing.T) {
		want := `SERVICE  DATAPLANE  STATE   SINCE  TRIPS  NEXT PROBE  CAUSE
users    a          closed  4m     0      –           –
users    b          closed  4m     0      –           –
2026-11-23T12:00:00.000Z users on a: open, 6 failures in a row, last: 127.0.0.1:8081: connection refused
2026-11-23T12:00:00.000Z users on a: gone
`
		if diff := cmp.Diff(want, watched().watch(t, "breaker status --watch", "gone\n", false)); diff != "" {
			t.Errorf("breaker status --watch (-want +got):\n%s", diff)
		}
	})
	t.Run("JSON", func(t *testing.T) {
		got := watched().watch(t, "breaker status --watch -o json", `"state":null`, false)
		lines := strings.Split(strings.TrimSpace(got), "\n")
		if len(lines) != 4 || !strings.Contains(lines[2], `"dataplane":"a","state":"open"`) {
			t.Errorf("breaker status --watch -o json = %q, want four lines, the third open", got)
		}
	})
	t.Run("screen", func(t *testing.T) {
		f := watched()
		f.breakers.pages = f.breakers.pages[:2]
		got := f.watch(t, "breaker status --watch", "disagree, 1 of 2 open\x1b[K\n", true)
		if !strings.HasPrefix(got, "\x1b[2J\x1b[HSERVICE") || !strings.Contains(got, "\x1b[31mopen\x1b[0m    12s") {
			t.Errorf("breaker status --watch on a terminal = %q, want frames in colour", got)
		}
	})
}

func TestBreakerWatchEnds(t *testing.T) {
	for _, draws := range []bool{false, true} {
		f := watched()
		f.breakers.hang = false
		p, _, stderr := process("breaker status --watch", f.start(t))
		p.Draws = draws
		if code := Run(t.Context(), p); code != 1 || stderr.String() != "gatewayctl: the control plane ended the watch\n" {
			t.Errorf("draws=%v: breaker status --watch = %d, %q, want 1 and a reason", draws, code, stderr)
		}
	}
}

func TestBreakerReset(t *testing.T) {
	tests := []struct {
		name, line string
		rollout    *gatewayv1.Rollout
		want       result
	}{
		{"all", "breaker reset users", onTwo(), result{0, "closed on 2/2 data planes after 8.2 ms\n", ""}},
		{"some", "breaker reset users", onOneOfFour(), result{3, "closed on 1/3 data planes\nb: no answer yet, serves revision 41\n" +
			"c: rejected: key alice: unusable\nd: not connected, last seen 5m ago\n", "gatewayctl: not closed on every data plane\n"}},
		{"none", "breaker reset users", nil, result{3, "closed on no data plane\n", "gatewayctl: not closed: no data plane is connected\n"}},
		{
			"named and gone", "breaker reset users --dataplane d", &gatewayv1.Rollout{Disconnected: onOneOfFour().GetDisconnected()},
			result{3, "closed on no data plane\nd: not connected, last seen 5m ago\n", "gatewayctl: not closed: data plane \"d\" is not connected\n"},
		},
		{
			"named and silent", "breaker reset users --dataplane b", &gatewayv1.Rollout{Lagging: onOneOfFour().GetLagging()},
			result{3, "closed on 0/1 data planes\nb: no answer yet, serves revision 41\n", "gatewayctl: not closed on data plane \"b\"\n"},
		},
		{
			"JSON", "breaker reset users -o json --dataplane a", &gatewayv1.Rollout{Applied: onTwo().GetApplied()[:1]},
			result{0, `{"rollout":{"applied":[{"dataplane":"a","after_ms":3.14}],"lagging":[],"rejected":[],"disconnected":[]}}` + "\n", ""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{reset: func(*gatewayv1.ResetBreakerRequest) (*gatewayv1.ResetBreakerResponse, error) {
				return &gatewayv1.ResetBreakerResponse{Rollout: tt.rollout}, nil
			}}
			if diff := cmp.Diff(tt.want, f.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}
