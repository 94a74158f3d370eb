package fleet

import (
	"fmt"
	"math"
	"sync"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// clockTolerance is the offset of a data plane's clock above which key expiry is called unreliable.
const clockTolerance = 5 * time.Second

// Member is one data plane, connected or not. Its methods are safe for concurrent use.
type Member struct {
	id    string
	fleet *Fleet

	mu          sync.Mutex
	session     Session // nil: not connected
	instance    string
	version     string
	address     string
	epoch       string
	foreign     string
	connectedAt time.Time
	lastSeen    time.Time
	offset      time.Duration
	served      [2]servedPart // by index
	received    uint64        // largest revision that it said it had in Hello, served or not
	rejected    *gatewayv1.Rejected
	breakers    map[string]*gatewayv1.BreakerState
	pending     map[uint64]*call
}

// servedPart is what a data plane serves of one part.
type servedPart struct {
	revision uint64
	digest   gatewayv1.Digest
	history  []arrival // oldest first, the newest maxHistory of them
}

// arrival is a report of service.
type arrival struct {
	revision   uint64
	at         time.Time
	notDurable bool
	unusable   []*gatewayv1.UnusableEntry
}

// maxHistory bounds how far back a proof can be answered with the moment of its report.
const maxHistory = 256

func index(part gatewayv1.Part) int {
	if part == gatewayv1.Part_PART_KEYS {
		return 1
	}
	return 0
}

// ID returns the name that operators see.
func (m *Member) ID() string { return m.id }

// Connected reports whether a stream is open.
func (m *Member) Connected() bool { return m.current() != nil }

func (m *Member) current() Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// Foreign returns why the data plane does not follow this store, and the state that it holds; an empty reason means that it follows.
func (m *Member) Foreign() (reason string, holds store.Ancestor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return "", store.Ancestor{}
	}
	return m.foreign, store.Ancestor{Epoch: m.epoch, Revision: m.received}
}

func (m *Member) join(a Arrival, now time.Time) (earlier Session, err error) {
	h := a.Hello
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != nil && m.instance != h.GetInstance() {
		return nil, &DuplicateError{ID: m.id, Instance: m.instance, Address: m.address, Since: m.connectedAt}
	}
	earlier = m.session
	m.failPendingLocked()
	m.session, m.instance, m.version, m.address = a.Session, h.GetInstance(), h.GetVersion(), h.GetAddress()
	m.epoch, m.foreign, m.rejected = h.GetEpoch(), a.Foreign, h.GetRejected()
	m.connectedAt, m.lastSeen, m.offset = now, now, 0
	m.breakers = nil
	m.served, m.received = [2]servedPart{}, 0
	for _, p := range h.GetParts() {
		m.received = max(m.received, p.GetRevision())
		m.setServedLocked(p, now)
	}
	for _, p := range h.GetServing() { // wins over what was only received
		m.setServedLocked(p, now)
	}
	return earlier, nil
}

func (m *Member) setServedLocked(p *gatewayv1.PartState, now time.Time) {
	d, err := gatewayv1.ParseDigest(p.GetDigest())
	if err != nil {
		return // checked when the Hello was
	}
	m.served[index(p.GetPart())] = servedPart{revision: p.GetRevision(), digest: d, history: []arrival{{revision: p.GetRevision(), at: now}}}
}

func (m *Member) leave(s Session, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != s {
		return false
	}
	m.session, m.lastSeen = nil, now
	m.failPendingLocked()
	return true
}

// Applied takes a report of service in. digest is the one of the report, parsed.
func (m *Member) Applied(a *gatewayv1.Applied, digest gatewayv1.Digest) {
	now := m.fleet.now()
	m.mu.Lock()
	p := &m.served[index(a.GetPart())]
	p.revision, p.digest = a.GetRevision(), digest
	p.history = append(p.history, arrival{revision: a.GetRevision(), at: now, notDurable: a.GetNotDurable(), unusable: a.GetUnusable()})
	if len(p.history) >= 2*maxHistory {
		p.history = append(p.history[:0:0], p.history[len(p.history)-maxHistory:]...)
	}
	if m.rejected != nil && m.rejected.GetPart() == a.GetPart() && m.rejected.GetRevision() <= a.GetRevision() {
		m.rejected = nil
	}
	m.lastSeen = now
	m.mu.Unlock()
	m.fleet.changes.notify()
}

// Rejected takes a refusal in.
func (m *Member) Rejected(r *gatewayv1.Rejected) {
	m.mu.Lock()
	m.rejected, m.lastSeen = r, m.fleet.now()
	m.mu.Unlock()
	m.fleet.changes.notify()
}

// Heartbeat notes that the data plane is alive. offset is its wall clock less ours, as well as it could be measured.
func (m *Member) Heartbeat(address string, offset time.Duration) {
	m.mu.Lock()
	was := m.offset
	m.lastSeen, m.address, m.offset = m.fleet.now(), address, offset
	m.mu.Unlock()
	if offset.Abs() > clockTolerance && was.Abs() <= clockTolerance {
		m.fleet.log.Warn("data plane's clock is off, keys expire there at another moment", "dataplane", m.id, "offset", offset)
	}
}

// Describe returns the member as operators see it, beside the store's newest state.
func (m *Member) Describe(head store.State) *gatewayv1.DataPlane {
	m.mu.Lock()
	defer m.mu.Unlock()
	config, keys := &m.served[0], &m.served[1]
	state, reason := m.standingLocked(head)
	return &gatewayv1.DataPlane{
		Id: m.id, Address: m.address, Version: m.version, State: state, Reason: reason,
		Revision: max(config.revision, keys.revision), ConfigRevision: config.revision, KeysRevision: keys.revision,
		Digest: config.digest.Add(keys.digest).Bytes(), DesiredRevision: head.Revision,
		ConnectedAtMs: unixMilli(m.connectedAt), LastSeenAtMs: unixMilli(m.lastSeen),
		ClockOffsetMs: math.Round(m.offset.Seconds()*1e6) / 1e3,
	}
}

func (m *Member) standingLocked(head store.State) (gatewayv1.DataPlaneState, string) {
	config, keys := m.served[0].revision, m.served[1].revision
	switch {
	case m.session == nil:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED, ""
	case m.foreign != "":
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN, m.foreign
	case m.rejected != nil:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, rejection(m.rejected)
	case config < head.Config.Revision:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, fmt.Sprintf("config at revision %d of %d", config, head.Config.Revision)
	case keys < head.Keys.Revision:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, fmt.Sprintf("keys at revision %d of %d", keys, head.Keys.Revision)
	}
	return gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, ""
}

func rejection(r *gatewayv1.Rejected) string {
	if r.GetEntry() == "" {
		return fmt.Sprintf("revision %d: %s", r.GetRevision(), r.GetReason())
	}
	return fmt.Sprintf("revision %d: %s: %s", r.GetRevision(), r.GetEntry(), r.GetReason())
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Away says when a member was last seen, or nil if that is longer ago than a member counts for.
func (m *Member) Away() *gatewayv1.DisconnectedFrom {
	now := m.fleet.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.lastSeen) >= seenWindow {
		return nil
	}
	return &gatewayv1.DisconnectedFrom{Dataplane: m.id, LastSeenAtMs: unixMilli(m.lastSeen)}
}
