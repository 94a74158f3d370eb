package fleet

import (
	"maps"
	"slices"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// ReportBreakers takes breaker states in. The messages must not be changed afterwards.
func (m *Member) ReportBreakers(r *gatewayv1.BreakerReport) {
	m.mu.Lock()
	if r.GetReset_() || m.breakers == nil {
		m.breakers = make(map[string]*gatewayv1.BreakerState)
	}
	for _, s := range r.GetStates() {
		if len(m.breakers) >= gatewayv1.MaxServices {
			break
		}
		m.breakers[s.GetService()] = s
	}
	for _, name := range r.GetRemoved() {
		delete(m.breakers, name)
	}
	m.mu.Unlock()
	m.fleet.changes.notify()
}

// Breakers returns the breakers of service, or of all services when it is empty, in order of service. A data plane that is not
// connected has none: what it last said may be long over.
func (m *Member) Breakers(service string) []*gatewayv1.BreakerState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return nil
	}
	if service != "" {
		if s := m.breakers[service]; s != nil {
			return []*gatewayv1.BreakerState{s}
		}
		return nil
	}
	states := make([]*gatewayv1.BreakerState, 0, len(m.breakers))
	for _, name := range slices.Sorted(maps.Keys(m.breakers)) {
		states = append(states, m.breakers[name])
	}
	return states
}
