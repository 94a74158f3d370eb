package fleet

import (
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// seenWindow is how long a data plane that is gone counts as one that may still serve what it had.
const seenWindow = 24 * time.Hour

// Change is a revision whose service is to be proven.
type Change struct {
	Part        gatewayv1.Part
	Revision    uint64
	Entry       string    // key that it changed; empty: none in particular
	CommittedAt time.Time // zero: unknown, times are then 0
	Revocation  bool      // a data plane that is not connected may still accept what was revoked
}

// Standing says where a change is served.
type Standing struct {
	Rollout *gatewayv1.Rollout
	Proven  bool // every data plane that counts serves it
	Final   bool // waiting longer cannot prove it
}

// Standing computes where c is served now. It is proven when at least one data plane is connected, each connected one serves it, and,
// for a revocation, none that was seen in the last 24 h is away.
func (f *Fleet) Standing(c Change) Standing {
	out := &gatewayv1.Rollout{}
	for _, m := range f.Members() {
		m.stand(c, out)
	}
	refused, waiting := len(out.Rejected) > 0, len(out.Lagging) > 0
	away := c.Revocation && len(out.Disconnected) > 0
	return Standing{
		Rollout: out,
		Proven:  len(out.Applied) > 0 && !refused && !waiting && !away,
		Final:   refused && !waiting,
	}
}

// stand sorts m into out.
func (m *Member) stand(c Change, out *gatewayv1.Rollout) {
	now := m.fleet.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		if away := m.awayLocked(now); away != nil {
			out.Disconnected = append(out.Disconnected, away)
		}
		return
	}
	if reason := m.refusalLocked(c); reason != "" {
		out.Rejected = append(out.Rejected, &gatewayv1.RejectedBy{Dataplane: m.id, Reason: reason, Foreign: m.foreign != ""})
		return
	}
	p := &m.served[index(c.Part)]
	first := p.firstAt(c.Revision)
	if first == nil {
		out.Lagging = append(out.Lagging, &gatewayv1.LaggingBy{Dataplane: m.id, Revision: p.revision})
		return
	}
	if late := m.lateLocked(c); late != nil {
		out.Lagging = append(out.Lagging, late)
		return
	}
	out.Applied = append(out.Applied, &gatewayv1.AppliedBy{Dataplane: m.id, AfterMs: after(c.CommittedAt, first.at), NotDurable: first.notDurable})
}

// Away says when a member was last seen, or nil if that is longer ago than a member counts for.
func (m *Member) Away() *gatewayv1.DisconnectedFrom {
	now := m.fleet.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.awayLocked(now)
}

func (m *Member) awayLocked(now time.Time) *gatewayv1.DisconnectedFrom {
	if now.Sub(m.lastSeen) >= seenWindow {
		return nil
	}
	return &gatewayv1.DisconnectedFrom{Dataplane: m.id, LastSeenAtMs: unixMilli(m.lastSeen)}
}

// refusalLocked returns why the member will not serve c, or nothing.
func (m *Member) refusalLocked(c Change) string {
	if m.foreign != "" {
		return "foreign: " + m.foreign
	}
	p := &m.served[index(c.Part)]
	if r := m.rejected; r != nil && r.GetPart() == c.Part && r.GetRevision() >= c.Revision && p.revision < c.Revision {
		return rejection(r)
	}
	if first := p.firstAt(c.Revision); first != nil && c.Entry != "" {
		for _, u := range first.unusable {
			if u.GetId() == c.Entry {
				return "unusable: " + u.GetReason()
			}
		}
	}
	return ""
}

// firstAt returns the earliest report that is still known of revision or a later one, or nil.
func (p *servedPart) firstAt(revision uint64) *arrival {
	if !p.proven || p.revision < revision {
		return nil
	}
	for i := range p.history {
		if p.history[i].revision >= revision {
			return &p.history[i]
		}
	}
	return nil
}

// after returns the milliseconds between two moments, never negative; 0 if the first is unknown.
func after(from, to time.Time) float64 {
	if from.IsZero() {
		return 0
	}
	return max(0, millis(to.Sub(from)))
}
