package fleet

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxBreakerBytes bounds what one data plane's breakers take. 100,000 services with three URLs each are 40 MB.
const maxBreakerBytes = 64 << 20

// ReportBreakers takes breaker states in, as far as there is room for them. The messages must not be changed afterwards.
func (m *Member) ReportBreakers(from Session, r *gatewayv1.BreakerReport) {
	m.report(from, func(time.Time) {
		if r.GetReset_() || m.breakers == nil {
			m.breakers, m.breakerBytes = make(map[string]*gatewayv1.BreakerState), 0
		}
		for _, name := range r.GetRemoved() {
			m.dropBreakerLocked(name)
		}
		for _, s := range r.GetStates() {
			m.dropBreakerLocked(s.GetService())
			if size := proto.Size(s); len(m.breakers) < gatewayv1.MaxServices && m.breakerBytes+size <= maxBreakerBytes {
				m.breakers[s.GetService()] = s
				m.breakerBytes += size
			}
		}
	})
}

func (m *Member) dropBreakerLocked(service string) {
	if old := m.breakers[service]; old != nil {
		m.breakerBytes -= proto.Size(old)
		delete(m.breakers, service)
	}
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
