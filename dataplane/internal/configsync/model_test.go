package configsync

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// moment is what a store had of one part. Moments are numbered in the order in which a data plane may come by them.
type moment struct {
	number  int
	epoch   string
	state   *gatewayv1.PartState
	entries map[cache.Ref][]byte
	sound   bool // it can be built
}

// model is a store with all that it ever held, and what it still can send.
type model struct {
	*store
	moments map[gatewayv1.Part][]*moment
	records map[gatewayv1.Part][]*gatewayv1.Record // of this epoch
	past    []*gatewayv1.Record                    // of all epochs, also of those that were lost
	copy    *store                                 // of the store, as a backup keeps it
	newest  uint64                                 // revision that was given in this epoch, also before the store was restored
	back    bool                                   // the store was restored and is older than what it gave away
	count   int                                    // makes content that never comes again
}

func newModel() *model {
	m := &model{store: newStore("epoch-0"), moments: map[gatewayv1.Part][]*moment{}, records: map[gatewayv1.Part][]*gatewayv1.Record{}}
	m.copy = m.clone()
	m.note(configID)
	m.note(keysID)
	return m
}

func (s *store) clone() *store {
	c := &store{epoch: s.epoch, lineage: slices.Clone(s.lineage), entries: map[gatewayv1.Part]map[cache.Ref][]byte{}, state: maps.Clone(s.state), head: s.head}
	for id, entries := range s.entries {
		c.entries[id] = maps.Clone(entries)
	}
	return c
}

// note keeps the state of a part as a moment.
func (m *model) note(id gatewayv1.Part) {
	m.count++
	sound := id == keysID || len(m.entries[id]) > 0 // a configuration without services is none
	for ref, value := range m.entries[id] {
		sound = sound && (ref.Kind != gatewayv1.Kind_KIND_SERVICE || string(value) != string(serviceValue(unroutable)))
	}
	m.moments[id] = append(m.moments[id], &moment{m.count, m.epoch, m.state[id], maps.Clone(m.entries[id]), sound})
}

// unroutable is a pattern that no data plane can build.
const unroutable = "no path"

func (m *model) last(id gatewayv1.Part) *moment {
	if n := len(m.moments[id]); n > 0 {
		return m.moments[id][n-1]
	}
	return nil
}

// at returns the moment of a revision, or nil.
func (m *model) at(id gatewayv1.Part, epoch string, revision uint64) *moment {
	for _, k := range slices.Backward(m.moments[id]) {
		if k.epoch == epoch && k.state.GetRevision() == revision {
			return k
		}
	}
	return nil
}

// publish makes a revision.
func (m *model) publish(id gatewayv1.Part, puts map[cache.Ref][]byte) {
	rec := m.change(id, puts)
	m.records[id], m.past, m.newest = append(m.records[id], rec), append(m.past, rec), m.head
	m.note(id)
}

// changeKeys adds, revokes and rotates a few keys in one revision.
func (m *model) changeKeys(t *rapid.T) {
	puts := map[cache.Ref][]byte{}
	for range rapid.IntRange(1, 3).Draw(t, "keys") {
		name := rapid.SampledFrom([]string{"alice", "bob", "carol", "dave"}).Draw(t, "name")
		m.count++
		old, now := name+"'s", fmt.Sprintf("%s's %d", name, m.count)
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0, 1:
			puts[key(name)] = nil
		case 2:
			puts[key(name)] = keyValue(old) // one that was revoked comes back
		case 3:
			puts[key(name)] = keyValue(now, old)
		default:
			puts[key(name)] = []byte{0xff, byte(m.count)} // admits nobody
		}
	}
	m.publish(keysID, puts)
}

// changeConfig makes a configuration that none was before it.
func (m *model) changeConfig(t *rapid.T) {
	m.count++
	puts := map[cache.Ref][]byte{settingsRef: settingsValue(), service("users"): serviceValue(fmt.Sprintf("/users-%d", m.count)), service("orders"): nil}
	switch rapid.IntRange(0, 3).Draw(t, "services") {
	case 0:
		puts[service("orders")] = serviceValue(unroutable)
	case 1:
		puts[service("orders")] = serviceValue(fmt.Sprintf("/orders-%d", m.count))
	}
	m.publish(configID, puts)
}

// repair makes the newest configuration one that can be built.
func (m *model) repair() {
	m.count++
	m.publish(configID, map[cache.Ref][]byte{
		settingsRef: settingsValue(), service("users"): serviceValue(fmt.Sprintf("/users-%d", m.count)), service("orders"): nil,
	})
}

// backup keeps a copy of the store.
func (m *model) backup() { m.copy = m.clone() }

// restore puts the copy in the store's place.
func (m *model) restore() {
	if m.copy.epoch != m.epoch || m.copy.head == m.newest {
		return
	}
	m.store, m.back = m.copy.clone(), true
}

// adopt begins an epoch that descends from all that this one gave away.
func (m *model) adopt() {
	m.count++
	m.lineage = append(slices.Clone(m.lineage), &gatewayv1.Ancestor{Epoch: m.epoch, Revision: m.newest})
	m.epoch, m.head, m.back = fmt.Sprintf("epoch-%d", m.count), m.newest, false
	m.records = map[gatewayv1.Part][]*gatewayv1.Record{}
	for _, id := range []gatewayv1.Part{configID, keysID} {
		m.note(id)
	}
}

// since returns the records of this epoch that follow on a revision.
func (m *model) since(id gatewayv1.Part, revision uint64) []*gatewayv1.Record {
	list := m.records[id]
	i, found := slices.BinarySearchFunc(list, revision, func(r *gatewayv1.Record, v uint64) int { return int(r.GetRevision()) - int(v) })
	if found {
		i++
	}
	for n := i; n < len(list); n++ {
		if list[n].GetRevision() > m.state[id].GetRevision() { // lost with the store
			return list[i:n]
		}
	}
	return list[i:]
}
