package fleet

import (
	"sync"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// clockTolerance is the offset of a data plane's clock above which key expiry is called unreliable.
const clockTolerance = 5 * time.Second

// Member is one data plane, connected or not. Its methods are safe for concurrent use.
type Member struct {
	id        string
	fleet     *Fleet
	successor *Member // not nil: this process has handed the id over to that one

	mu           sync.Mutex
	session      Session // nil: not connected
	instance     string
	version      string
	address      string
	epoch        string
	foreign      string
	connectedAt  time.Time
	lastSeen     time.Time
	noted        time.Time // lastSeen as it was last written; zero: never
	offset       time.Duration
	served       [2]servedPart // by index
	received     uint64        // largest revision that it said it had in Hello, served or not
	rejected     *gatewayv1.Rejected
	unusable     []*gatewayv1.UnusableEntry // of the keys, by its Hello
	breakers     map[string]*gatewayv1.BreakerState
	breakerBytes int
	pending      map[uint64]*call
	departing    []*Member // processes that have handed the id over and are not done yet
}

// servedPart is what a data plane serves of one part.
type servedPart struct {
	revision uint64
	digest   gatewayv1.Digest
	proven   bool      // it is the content that this store had at revision; otherwise it only says so
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
func (m *Member) Connected() bool {
	_, gone := m.goneSince()
	return !gone
}

// goneSince returns when a member that is not connected was last seen.
func (m *Member) goneSince() (since time.Time, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastSeen, m.session == nil
}

// Foreign returns why the data plane does not follow this store, and the state that it holds; an empty reason means that it
// follows, or is not connected.
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
	m.epoch, m.foreign, m.rejected, m.unusable = h.GetEpoch(), a.Foreign, nil, h.GetUnusable()
	m.connectedAt, m.lastSeen, m.offset = now, now, 0
	m.breakers, m.breakerBytes = nil, 0
	m.served, m.received = [2]servedPart{}, 0
	for _, p := range h.GetParts() {
		m.received = max(m.received, p.GetRevision())
		m.setServedLocked(p)
	}
	for _, p := range h.GetServing() { // wins over what was only received
		m.setServedLocked(p)
	}
	if h.GetRejected() != nil && h.GetEpoch() == a.Epoch { // revisions of another epoch compare with nothing
		m.rejected = h.GetRejected()
	}
	return earlier, nil
}

func (m *Member) setServedLocked(p *gatewayv1.PartState) {
	d, err := gatewayv1.ParseDigest(p.GetDigest())
	if err != nil {
		return // checked when the Hello was
	}
	m.served[index(p.GetPart())] = servedPart{revision: p.GetRevision(), digest: d}
}

func (m *Member) leave(from Session, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != from {
		return false
	}
	m.session, m.lastSeen = nil, now
	m.failPendingLocked()
	return true
}

// report lets fn take a report in, unless it comes from a session that is over.
func (m *Member) report(from Session, fn func(now time.Time)) {
	now := m.fleet.now()
	m.mu.Lock()
	current := m.session == from
	if current {
		m.lastSeen = now
		fn(now)
	}
	m.mu.Unlock()
	if current {
		m.fleet.changes.notify()
	}
}

// Confirmed says that what the Hello said of a part is what this store had at that revision.
func (m *Member) Confirmed(from Session, part gatewayv1.Part) {
	m.report(from, func(time.Time) {
		p := &m.served[index(part)]
		first := arrival{revision: p.revision, at: m.connectedAt}
		if part == gatewayv1.Part_PART_KEYS {
			first.unusable = m.unusable
		}
		p.proven, p.history = true, []arrival{first}
	})
}

// Applied takes a report of service in. digest is the one of the report, parsed; it is right.
func (m *Member) Applied(from Session, a *gatewayv1.Applied, digest gatewayv1.Digest) {
	m.report(from, func(now time.Time) {
		p := &m.served[index(a.GetPart())]
		p.add(arrival{revision: a.GetRevision(), at: now, notDurable: a.GetNotDurable(), unusable: a.GetUnusable()})
		p.revision, p.digest, p.proven = a.GetRevision(), digest, true
		if m.rejected != nil && m.rejected.GetPart() == a.GetPart() && m.rejected.GetRevision() <= a.GetRevision() {
			m.rejected = nil
		}
	})
}

// add appends a report. One that repeats a revision tells news of it, as that it is durable by now; it was served before.
func (p *servedPart) add(a arrival) {
	if !p.proven {
		p.history = nil
	}
	if n := len(p.history); n > 0 && p.history[n-1].revision == a.revision {
		a.at = p.history[n-1].at
		p.history[n-1] = a
		return
	}
	p.history = append(p.history, a)
	if len(p.history) >= 2*maxHistory {
		p.history = append(p.history[:0:0], p.history[len(p.history)-maxHistory:]...)
	}
}

// Rejected takes a refusal in.
func (m *Member) Rejected(from Session, r *gatewayv1.Rejected) {
	m.report(from, func(time.Time) { m.rejected = r })
}

// Drifted says that the data plane's content of a part is not what its revision says, which is counted. It proves nothing until
// the next Applied.
func (m *Member) Drifted(from Session, part gatewayv1.Part) {
	m.fleet.CountDrift()
	m.fleet.log.Warn("data plane drifted, it gets a full snapshot", "dataplane", m.id, "part", part)
	m.report(from, func(time.Time) { m.served[index(part)].proven = false })
}

// Heartbeat notes that the data plane is alive. offset is its wall clock less ours, as well as it could be measured.
func (m *Member) Heartbeat(from Session, address string, offset time.Duration) {
	m.mu.Lock()
	if m.session != from {
		m.mu.Unlock()
		return
	}
	was := m.offset
	m.lastSeen, m.address, m.offset = m.fleet.now(), address, offset
	m.mu.Unlock()
	if offset.Abs() > clockTolerance && was.Abs() <= clockTolerance {
		m.fleet.log.Warn("data plane's clock is off, keys expire there at another moment", "dataplane", m.id, "offset", offset)
	}
}
