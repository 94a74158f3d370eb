package configsync

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// replay sends records of any time again, in any order.
func (x *machine) replay(t *rapid.T) {
	x.following(t)
	if len(x.m.past) == 0 {
		t.Skip("nothing was published")
	}
	for range rapid.IntRange(1, 4).Draw(t, "records") {
		rec := x.m.past[rapid.IntRange(0, len(x.m.past)-1).Draw(t, "record")]
		if !slices.Contains(x.m.records[rec.GetPart()], rec) && x.makes(rec.GetPart(), rec) {
			continue // of an epoch that was left, and by chance what follows: a record does not name its epoch
		}
		x.send(saidRecords(rec))
	}
}

// lose sends what comes after something that is never sent.
func (x *machine) lose(t *rapid.T) {
	x.following(t)
	id := x.anyPart(t)
	if records := x.m.since(id, x.revision(id)); len(records) > 1 {
		lost := rapid.IntRange(1, len(records)-1).Draw(t, "lost")
		x.send(saidRecords(records[lost:]...))
		return
	}
	t.Skip("nothing to lose")
}

// repeat sends what is lacking more than once, in one message or several, in order or not.
func (x *machine) repeat(t *rapid.T) {
	x.following(t)
	id := x.anyPart(t)
	records := slices.Clone(x.m.since(id, x.revision(id)))
	if len(records) == 0 {
		t.Skip("nothing to send")
	}
	twice := slices.Concat(records, records)
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		x.send(saidRecords(twice...))
	case 1:
		x.send(saidRecords(records...), saidRecords(records...))
	case 2:
		slices.Reverse(twice)
		x.send(saidRecords(twice...))
	default:
		slices.Reverse(records)
		x.send(saidRecords(records[0]), saidRecords(records[len(records)/2]), saidRecords(records[len(records)-1]))
	}
}

// forge sends a record that says what the store never said. Its digest is not that of what it makes.
func (x *machine) forge(t *rapid.T) {
	x.following(t)
	id := x.anyPart(t)
	rec := &gatewayv1.Record{Revision: x.m.newest + rapid.Uint64Range(1, 3).Draw(t, "ahead"), Part: id}
	rec.DigestAfter = x.digest(t, id)
	if id == configID {
		rec.Puts = []*gatewayv1.Entry{{Kind: gatewayv1.Kind_KIND_SERVICE, Id: "mallory", Value: serviceValue("/mallory")}}
	} else {
		name := rapid.SampledFrom([]string{"mallory", "alice", "bob", "carol"}).Draw(t, "name")
		rec.Puts = []*gatewayv1.Entry{{Kind: gatewayv1.Kind_KIND_KEY, Id: name, Value: keyValue(name + "'s")}}
	}
	if rapid.Bool().Draw(t, "known record") && len(x.m.records[id]) > 0 {
		rec = proto.CloneOf(x.m.records[id][rapid.IntRange(0, len(x.m.records[id])-1).Draw(t, "record")])
		rec.Revision = x.m.newest + 1
		rec.DigestAfter = x.digest(t, id)
	}
	if x.makes(id, rec) {
		t.Skip("it is true")
	}
	x.send(saidRecords(rec))
}

// digest is one that may be expected somewhere.
func (x *machine) digest(t *rapid.T, id gatewayv1.Part) []byte {
	random := gatewayv1.EntryDigest(1, "random", nil).Bytes()
	current := x.m.state[id].GetDigest()
	return rapid.SampledFrom([][]byte{random, current, nil, {1, 2, 3}}).Draw(t, "digest")
}

// makes reports whether a record with its digest follows from what the data plane received last.
func (x *machine) makes(id gatewayv1.Part, rec *gatewayv1.Record) bool {
	s, r := newStore(""), x.f.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == configID {
		maps.Copy(s.entries[id], r.config.entries)
	} else {
		for _, e := range r.keys.all() {
			s.entries[id][e.Ref] = e.Value
		}
	}
	for _, ref := range rec.GetRemoves() {
		delete(s.entries[id], cache.Ref{Kind: ref.GetKind(), ID: ref.GetId()})
	}
	for _, e := range rec.GetPuts() {
		s.entries[id][cache.Ref{Kind: e.GetKind(), ID: e.GetId()}] = e.GetValue()
	}
	want, err := gatewayv1.ParseDigest(rec.GetDigestAfter())
	return err == nil && want.String() == digestText(s.change(id, nil).GetDigestAfter())
}

func digestText(b []byte) string {
	d, _ := gatewayv1.ParseDigest(b)
	return d.String()
}

// badSnapshot sends a snapshot that is cut short, or not what it says.
func (x *machine) badSnapshot(t *rapid.T) {
	x.following(t)
	id := x.anyPart(t)
	chunks := x.m.chunks(id, 1)
	for i, c := range chunks {
		chunks[i] = proto.CloneOf(c)
	}
	last := chunks[len(chunks)-1]
	switch rapid.IntRange(0, 7).Draw(t, "how") {
	case 0: // no end
		last.Last = false
	case 1: // an end too early
		chunks[0].Last = len(chunks) > 1
	case 2: // another digest
		state := proto.CloneOf(last.GetState())
		state.Digest = gatewayv1.EntryDigest(1, "random", nil).Bytes()
		for _, c := range chunks {
			c.State = state
		}
	case 3: // too large
		chunks[0].State.Count = gatewayv1.MaxKeys + 1
		chunks = chunks[:1]
	case 4: // with an entry of somebody else
		last.Entries = append(last.Entries, &gatewayv1.Entry{Kind: gatewayv1.Kind_KIND_KEY, Id: "mallory", Value: keyValue("mallory's")})
	case 5: // in another order
		slices.Reverse(chunks)
		if len(chunks) == 1 {
			chunks[0].Index = 7
		}
	case 6: // of an earlier moment
		if len(x.m.moments[id]) == 0 {
			t.Skip("nothing was published")
		}
		k := x.m.moments[id][rapid.IntRange(0, len(x.m.moments[id])-1).Draw(t, "moment")]
		if k.epoch == x.m.epoch && k.number >= x.has[id].numberOr(0) {
			t.Skip("not earlier")
		}
		if k.epoch != x.m.epoch { // nobody could tell it from the store's own
			t.Skip("of another epoch")
		}
		old := &store{entries: map[gatewayv1.Part]map[cache.Ref][]byte{id: k.entries}, state: map[gatewayv1.Part]*gatewayv1.PartState{id: k.state}}
		chunks = old.chunks(id, 2)
	default: // with records within
		x.send(saidChunk(chunks[0]))
		if n := len(x.m.records[id]); n > 0 {
			x.send(saidRecords(x.m.records[id][n-1]))
		}
		return
	}
	x.send(saidChunks(chunks)...)
}

func (k *moment) numberOr(none int) int {
	if k == nil {
		return none
	}
	return k.number
}

// stranger is a control plane of another history. It sends all that it has and changes nothing.
func (x *machine) stranger(t *rapid.T) {
	if x.peer == nil || x.revision(configID)+x.revision(keysID) == 0 {
		t.Skip("who has nothing follows everybody")
	}
	o := other()
	w := o.welcome()
	switch rapid.IntRange(0, 4).Draw(t, "who") {
	case 0:
	case 1: // continues the epoch from before what is here
		if !x.hasOf(x.m.epoch) {
			t.Skip("nothing of this epoch is here: it continues it")
		}
		w.Lineage = []*gatewayv1.Ancestor{{Epoch: x.m.epoch, Revision: 0}}
	case 2: // no history at all
		w.Epoch = ""
	case 3: // says so itself
		w = x.m.welcome()
		w.Foreign = "another history"
	default: // an empty store
		o = newStore("epoch-9")
		w = o.welcome()
	}
	x.welcomed = false
	before := map[gatewayv1.Part]*moment{configID: x.serving(configID), keysID: x.serving(keysID)}
	x.send(saidWelcome(w))
	x.send(saidChunks(o.chunks(keysID, 1))...)
	x.send(saidChunks(o.chunks(configID, 1))...)
	x.send(saidRecords(o.change(keysID, map[cache.Ref][]byte{key("alice"): nil, key("mallory"): keyValue("mallory's")})))
	for id, k := range before {
		if now := x.serving(id); now != k {
			t.Fatalf("a stranger changed %v from %+v to %+v", id, k, now)
		}
	}
}

// hasOf reports whether the data plane has a revision of an epoch.
func (x *machine) hasOf(epoch string) bool {
	for _, k := range x.has {
		if k.epoch == epoch && k.revision() > 0 {
			return true
		}
	}
	return false
}

// nonsense is what no control plane sends.
func (x *machine) nonsense(t *rapid.T) {
	x.following(t)
	big := &gatewayv1.Record{Revision: x.m.newest + 1, Part: keysID, Puts: []*gatewayv1.Entry{
		{Kind: gatewayv1.Kind_KIND_KEY, Id: "mallory", Value: make([]byte, maxReceive)},
	}}
	all := []*gatewayv1.SyncResponse{
		{},
		saidRecords(&gatewayv1.Record{Revision: x.m.newest + 1}),
		saidRecords(&gatewayv1.Record{Revision: x.m.newest + 1, Part: keysID}, &gatewayv1.Record{Revision: x.m.newest + 2, Part: configID}),
		saidRecords(big),
		saidChunk(&gatewayv1.SnapshotChunk{Last: true}),
		saidChunk(&gatewayv1.SnapshotChunk{State: &gatewayv1.PartState{Part: keysID, Revision: x.m.newest + 1}, Index: 3, Last: true}),
		{Message: &gatewayv1.SyncResponse_Command{Command: &gatewayv1.Command{Id: 1}}},
		{Message: &gatewayv1.SyncResponse_Command{Command: &gatewayv1.Command{Id: 2, Action: &gatewayv1.Command_CheckDigest{CheckDigest: &gatewayv1.CheckDigestCommand{}}}}},
		{Message: &gatewayv1.SyncResponse_Command{Command: &gatewayv1.Command{Id: 3, Action: &gatewayv1.Command_ListKeys{ListKeys: &gatewayv1.ListKeysCommand{}}}}},
	}
	x.send(all[rapid.IntRange(0, len(all)-1).Draw(t, "message")])
}
