package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Breaker is one service's breaker on one data plane in JSON.
type Breaker struct {
	Service   string `json:"service"`
	DataPlane string `json:"dataplane"`
	// State is null in --watch once the breaker is gone: its service was removed, or its data plane disconnected.
	State               *string      `json:"state"`
	Since               instant      `json:"since"`
	ConsecutiveFailures int64        `json:"consecutive_failures"`
	Trips               int64        `json:"trips"`
	NextProbeAt         instant      `json:"next_probe_at"`
	LastError           *string      `json:"last_error"`
	URLs                []BreakerURL `json:"urls"`
}

// BreakerURL is the watch on one URL in JSON.
type BreakerURL struct {
	URL       string  `json:"url"`
	State     *string `json:"state"`
	LastError *string `json:"last_error"`
}

// NewBreaker converts a breaker for JSON.
func NewBreaker(b *gatewayv1.DataPlaneBreaker) Breaker {
	s := b.GetState()
	out := Breaker{
		Service: s.GetService(), DataPlane: b.GetDataplane(), State: orNull(stateName(s.GetState())),
		Since: instant(s.GetSinceMs()), ConsecutiveFailures: s.GetConsecutiveFailures(), Trips: s.GetTrips(),
		NextProbeAt: instant(s.GetNextProbeAtMs()), LastError: orNull(s.GetLastError()), URLs: []BreakerURL{},
	}
	for _, u := range s.GetUrls() {
		out.URLs = append(out.URLs, BreakerURL{u.GetUrl(), orNull(stateName(u.GetState())), orNull(u.GetLastError())})
	}
	return out
}

// orNull is null in JSON for no text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// stateName is empty for no state.
func stateName(s gatewayv1.CircuitState) string {
	switch s {
	case gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED:
		return "closed"
	case gatewayv1.CircuitState_CIRCUIT_STATE_OPEN:
		return "open"
	case gatewayv1.CircuitState_CIRCUIT_STATE_HALF_OPEN:
		return "half-open"
	default:
		return ""
	}
}

func stateColour(s gatewayv1.CircuitState) string {
	switch s {
	case gatewayv1.CircuitState_CIRCUIT_STATE_OPEN:
		return red
	case gatewayv1.CircuitState_CIRCUIT_STATE_HALF_OPEN:
		return yellow
	default:
		return green
	}
}

// Breakers writes the table of breakers: services with something wrong first, each with its data planes side by side.
// Below it stand URLs that are passed over and services on which data planes disagree. It sorts its argument.
func Breakers(w io.Writer, s Style, all []*gatewayv1.DataPlaneBreaker) error {
	p := &printer{w: w}
	if len(all) == 0 {
		p.linef("no data plane has reported a circuit breaker")
		return p.err
	}
	services := byService(all)
	shown, t := 0, newTable(s, "SERVICE", "DATAPLANE", "STATE", "SINCE", "TRIPS", "NEXT PROBE", "CAUSE")
	for _, service := range services {
		if len(all) > Long && !s.All && service.normal() {
			continue
		}
		for _, b := range service.breakers {
			t.row(s.breakerRow(b)...)
			shown++
		}
	}
	if shown > 0 {
		if err := t.flush(w); err != nil {
			return err
		}
	}
	if rest := len(all) - shown; rest > 0 {
		p.linef("%s closed, not shown (--all shows everything)", plural(rest, "breaker"))
	}
	for _, service := range services {
		service.remarks(p)
	}
	return p.err
}

func (s Style) breakerRow(b *gatewayv1.DataPlaneBreaker) []cell {
	state := b.GetState()
	probe := none
	if at := state.GetNextProbeAtMs(); at != 0 && state.GetState() == gatewayv1.CircuitState_CIRCUIT_STATE_OPEN {
		probe = s.until(at, "next request")
	}
	return []cell{
		text(state.GetService()), text(b.GetDataplane()),
		{stateName(state.GetState()), stateColour(state.GetState())},
		text(s.age(state.GetSinceMs())), text(fmt.Sprint(state.GetTrips())), text(probe), text(cause(state)),
	}
}

// cause says why a breaker is, or is about to be, open.
func cause(s *gatewayv1.BreakerState) string {
	var parts []string
	if n := s.GetConsecutiveFailures(); n > 0 {
		parts = append(parts, plural(int(n), "failure")+" in a row")
	}
	closed := s.GetState() == gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED
	if last := s.GetLastError(); last != "" && (!closed || len(parts) > 0) {
		parts = append(parts, "last: "+last)
	}
	return strings.Join(parts, ", ")
}

// BreakerLine writes one line about a breaker that changed, for a log.
func BreakerLine(w io.Writer, s Style, b *gatewayv1.DataPlaneBreaker) error {
	state := b.GetState()
	line := fmt.Sprintf("%s %s on %s: %s", s.Now.UTC().Format(rfc3339), Clean(state.GetService()), Clean(b.GetDataplane()),
		cmp.Or(stateName(state.GetState()), "gone"))
	if why := cause(state); why != "" {
		line += ", " + Clean(why)
	}
	p := &printer{w: w}
	p.linef("%s", line)
	return p.err
}

// normal reports whether a breaker and every URL below it are closed.
func normal(b *gatewayv1.DataPlaneBreaker) bool {
	return b.GetState().GetState() == gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED && len(passedOver(b)) == 0
}

// passedOver returns the URLs that get no requests.
func passedOver(b *gatewayv1.DataPlaneBreaker) []*gatewayv1.UrlState {
	var out []*gatewayv1.UrlState
	for _, u := range b.GetState().GetUrls() {
		if u.GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED {
			out = append(out, u)
		}
	}
	return out
}

// serviceBreakers are the breakers of one service on each data plane.
type serviceBreakers struct {
	name     string
	breakers []*gatewayv1.DataPlaneBreaker
}

func (s serviceBreakers) normal() bool {
	return !slices.ContainsFunc(s.breakers, func(b *gatewayv1.DataPlaneBreaker) bool { return !normal(b) })
}

// remarks writes what a row of the table cannot say.
func (s serviceBreakers) remarks(p *printer) {
	count := map[gatewayv1.CircuitState]int{}
	for _, b := range s.breakers {
		count[b.GetState().GetState()]++
		for _, u := range passedOver(b) {
			line := fmt.Sprintf("%s: %s passes over %s", Clean(s.name), Clean(b.GetDataplane()), Clean(u.GetUrl()))
			if last := u.GetLastError(); last != "" {
				line += ", last: " + Clean(last)
			}
			p.linef("%s", line)
		}
	}
	if len(count) < 2 {
		return
	}
	var parts []string
	for _, state := range []gatewayv1.CircuitState{
		gatewayv1.CircuitState_CIRCUIT_STATE_OPEN, gatewayv1.CircuitState_CIRCUIT_STATE_HALF_OPEN,
	} {
		if n := count[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d %s", n, len(s.breakers), stateName(state)))
		}
	}
	p.linef("%s: data planes disagree, %s", Clean(s.name), strings.Join(parts, ", "))
}

// byService sorts breakers by service and data plane, services with something wrong first.
func byService(all []*gatewayv1.DataPlaneBreaker) []serviceBreakers {
	slices.SortFunc(all, func(a, b *gatewayv1.DataPlaneBreaker) int {
		return cmp.Or(cmp.Compare(a.GetState().GetService(), b.GetState().GetService()),
			cmp.Compare(a.GetDataplane(), b.GetDataplane()))
	})
	var out []serviceBreakers
	for _, b := range all {
		name := b.GetState().GetService()
		if len(out) == 0 || out[len(out)-1].name != name {
			out = append(out, serviceBreakers{name: name})
		}
		last := &out[len(out)-1]
		last.breakers = append(last.breakers, b)
	}
	slices.SortStableFunc(out, func(a, b serviceBreakers) int {
		return cmp.Compare(boolRank(a.normal()), boolRank(b.normal()))
	})
	return out
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}
