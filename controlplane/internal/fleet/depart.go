package fleet

import (
	"fmt"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxDeparting bounds the processes that finish under one id: more than that at once is no replacement but a loop.
const maxDeparting = 16

// Depart registers the stream of a process that has handed its id over to another one and finishes what it has under way. It is not
// a data plane of its own: operators do not see it and it gets no commands. But it still admits what it was told to admit, so a change
// of the keys is proven only when it serves that too. An earlier stream of the same process is cut. Error: ErrUnknown, if the id is
// nobody's; too many.
func (f *Fleet) Depart(a Arrival) (*Member, error) {
	owner := f.Member(a.Hello.GetId())
	if owner == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, a.Hello.GetId())
	}
	d := &Member{id: owner.id, fleet: f, successor: owner}
	if _, err := d.join(a, f.now()); err != nil {
		return nil, err
	}
	earlier, err := owner.addDeparting(d)
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		earlier.Cut("replaced by a newer stream of the same instance")
	}
	f.changes.notify()
	return d, nil
}

func (m *Member) addDeparting(d *Member) (earlier Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, other := range m.departing {
		if other.instance == d.instance { // neither changes after its join
			earlier, m.departing[i] = other.session, d
			return earlier, nil
		}
	}
	if len(m.departing) >= maxDeparting {
		return nil, fmt.Errorf("data plane %q: %d processes hand it over already (want at most %d)", m.id, len(m.departing), maxDeparting)
	}
	m.departing = append(m.departing, d)
	return nil, nil
}

// removeDeparting drops d. One that was replaced by a newer stream is gone already.
func (m *Member) removeDeparting(d *Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, other := range m.departing {
		if other == d {
			m.departing = append(m.departing[:i], m.departing[i+1:]...)
			return
		}
	}
}

// lateLocked returns a process that was handed over by this one's id and does not serve c yet, or nil. Only keys count: what it admits
// by an earlier configuration it has admitted already.
func (m *Member) lateLocked(c Change) *gatewayv1.LaggingBy {
	if c.Part != gatewayv1.Part_PART_KEYS {
		return nil
	}
	for _, d := range m.departing {
		if late := d.late(c); late != nil {
			return late
		}
	}
	return nil
}

func (m *Member) late(c Change) *gatewayv1.LaggingBy {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.served[index(c.Part)]
	if p.firstAt(c.Revision) != nil {
		return nil
	}
	return &gatewayv1.LaggingBy{Dataplane: m.id, Revision: p.revision}
}
