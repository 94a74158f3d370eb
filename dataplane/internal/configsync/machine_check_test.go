package configsync

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/keys"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// hear takes in what the data plane says. It says nothing that is not true.
func (x *machine) hear(m *gatewayv1.SyncRequest) {
	switch {
	case m.GetHello() != nil:
		x.hearHello(m.GetHello())
	case m.GetApplied() != nil:
		x.hearApplied(m.GetApplied())
	case m.GetRejected() != nil:
		x.hearRejected(m.GetRejected())
	case m.GetHeartbeat() != nil:
		for _, s := range m.GetHeartbeat().GetServing() {
			x.known("heartbeat", s, s.GetPart() == keysID)
		}
	}
}

// hearHello notes what the data plane has.
func (x *machine) hearHello(h *gatewayv1.Hello) {
	for _, s := range h.GetParts() {
		k := x.m.at(s.GetPart(), h.GetEpoch(), s.GetRevision())
		if k == nil || !bytes.Equal(k.state.GetDigest(), s.GetDigest()) || k.state.GetCount() != s.GetCount() {
			x.rt.Fatalf("Hello: has %v of epoch %q, which the store never had", s, h.GetEpoch())
		}
		if k.number < x.durable[s.GetPart()] {
			x.rt.Fatalf("Hello: has moment %d of %v, after moment %d was acknowledged", k.number, s.GetPart(), x.durable[s.GetPart()])
		}
		x.has[s.GetPart()] = k
	}
	for _, s := range h.GetServing() {
		x.known("Hello", s, s.GetPart() == keysID)
	}
}

// known checks that the store once had what is said to be served. Keys that contradict their digest are told as they are.
func (x *machine) known(where string, s *gatewayv1.PartState, mayDiffer bool) {
	for _, k := range x.m.moments[s.GetPart()] {
		if bytes.Equal(k.state.GetDigest(), s.GetDigest()) && k.state.GetRevision() == s.GetRevision() {
			return
		}
	}
	if !mayDiffer {
		x.rt.Fatalf("%s: serves %v, which the store never had", where, s)
	}
}

// hearApplied checks that it names what the store had, and that it is what serves.
func (x *machine) hearApplied(a *gatewayv1.Applied) {
	id := a.GetPart()
	k := x.m.at(id, x.m.epoch, a.GetRevision())
	if k == nil || !bytes.Equal(k.state.GetDigest(), a.GetDigest()) {
		x.rt.Fatalf("Applied %v: the store never had that", a)
	}
	if !x.welcomed {
		x.rt.Fatalf("Applied %v to a store that it does not follow", a)
	}
	if now := x.serving(id); now == nil || now.number < k.number && !bytes.Equal(now.state.GetDigest(), a.GetDigest()) {
		x.rt.Fatalf("Applied %v, but serves %+v", a, now)
	}
	if a.GetNotDurable() {
		x.rt.Fatalf("Applied %v is not durable on a good disk", a)
	}
	x.has[id] = k
	x.durable[id] = max(x.durable[id], k.number)
}

func (x *machine) hearRejected(r *gatewayv1.Rejected) {
	k := x.m.at(r.GetPart(), x.m.epoch, r.GetRevision())
	if strings.Contains(r.GetReason(), "too large") {
		return
	}
	if !x.welcomed || x.m.back { // says why it does not follow
		return
	}
	if k == nil || k.sound {
		x.rt.Fatalf("%v: there is nothing wrong with it", r)
	}
	x.has[r.GetPart()] = k
}

// check is what holds after each step.
func (x *machine) check(t *rapid.T) {
	for _, id := range []gatewayv1.Part{configID, keysID} {
		k := x.serving(id)
		if _, broken := x.snapshotOf(id); k != nil && !broken { // what removals alone left may be like a later moment by chance
			x.served[id] = k.number
		}
	}
	admitted := map[string]bool{}
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		raw, _ := x.f.keys.Get(name)
		for _, s := range secretsOf(raw) {
			admitted[string(s)] = true
		}
	}
	for _, name := range []string{"alice", "bob", "carol", "dave", "mallory"} {
		h := keys.HashOf(name + "'s")
		if got := x.f.admits(name + "'s"); got != admitted[string(h[:])] {
			t.Fatalf("admits %s = %v, want %v by its entry", name, got, !got)
		}
	}
	if s := x.f.hold.Load(); x.f.Ready() && s == nil {
		t.Fatal("ready with nothing to serve")
	}
}

func secretsOf(raw []byte) (hashes [][]byte) {
	var k gatewayv1.Key
	if proto.Unmarshal(raw, &k) != nil {
		return nil
	}
	for _, s := range k.GetSecrets() {
		hashes = append(hashes, s.GetSha256())
	}
	return hashes
}

// serving returns the moment that is served of a part, nil if it is none yet. It fails the test if what serves is not what the
// store had at one moment, and that not before the last one.
func (x *machine) serving(id gatewayv1.Part) *moment {
	now, broken := x.snapshotOf(id)
	if now == nil {
		return nil
	}
	floor := max(x.served[id], x.durable[id])
	whole := map[cache.Ref]bool{}
	for _, k := range x.m.moments[id] {
		if k.number < floor || !k.sound {
			continue
		}
		if maps.EqualFunc(now, k.entries, func(a, b []byte) bool { return bytes.Equal(a, b) }) {
			return k
		}
		for ref, value := range now {
			if bytes.Equal(value, k.entries[ref]) {
				whole[ref] = true
			}
		}
	}
	for ref := range now {
		if !broken || !whole[ref] {
			x.rt.Fatalf("serves %v of %v, which is not as the store had it since moment %d", slices.Collect(maps.Keys(now)), id, floor)
		}
	}
	return nil
}

// snapshotOf returns what is served as entries. Keys that contradict their digest are not complete until they were sent whole.
func (x *machine) snapshotOf(id gatewayv1.Part) (entries map[cache.Ref][]byte, broken bool) {
	r := x.f.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == keysID {
		if !r.keys.present {
			return nil, false
		}
		entries = map[cache.Ref][]byte{}
		for name, raw := range x.f.keys.All() {
			entries[key(name)] = raw
		}
		return entries, r.keys.broken
	}
	s := x.f.hold.Load()
	if s == nil {
		return nil, false
	}
	for _, k := range x.m.moments[configID] {
		if digest, err := gatewayv1.ParseDigest(k.state.GetDigest()); err == nil && digest == s.Recompute() && digest == s.Digest && slices.Equal(s.Names(), k.names()) {
			return k.entries, false
		}
	}
	x.rt.Fatalf("serves a configuration of %q that the store never had", s.Names())
	return nil, false
}

// names are those of the services.
func (k *moment) names() (list []string) {
	for ref := range k.entries {
		if ref.Kind == gatewayv1.Kind_KIND_SERVICE {
			list = append(list, ref.ID)
		}
	}
	return slices.Sorted(slices.Values(list))
}

func (x *machine) servesNewest() bool {
	return x.serving(configID) == x.m.last(configID) && x.serving(keysID) == x.m.last(keysID)
}
