package publish

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// follower is a data plane as far as one part goes: it applies what Next gives, and checks what a data plane checks.
type follower struct {
	part    gatewayv1.Part
	have    Have
	content map[store.ID][]byte
	digest  gatewayv1.Digest // of content
	drifts  int
}

// set puts a value, or removes with nil.
func (f *follower) set(kind gatewayv1.Kind, name string, value []byte) {
	id := store.ID{Kind: kind, ID: name}
	if old, ok := f.content[id]; ok {
		f.digest = f.digest.Sub(gatewayv1.EntryDigest(kind, name, old))
		delete(f.content, id)
	}
	if value != nil {
		f.digest = f.digest.Add(gatewayv1.EntryDigest(kind, name, value))
		f.content[id] = value
	}
}

// follow applies one update and reports whether there was one.
func (f *follower) follow(t tester, p *Publisher) bool {
	t.Helper()
	update, err := p.Next(f.part, f.have)
	if err != nil {
		t.Fatalf("Next(%v, %+v) = %v", f.part, f.have, err)
	}
	if update.Drift {
		f.drifts++
	}
	switch update.Kind {
	case UpToDate:
		return false
	case Records:
		f.applyRun(t, update.Run, p.maxMessage)
	case Snapshot:
		f.applySnapshot(t, update.Chunks, p.maxMessage)
	}
	f.have = update.To
	if f.digest != f.have.Digest {
		t.Fatalf("%v at revision %d: content has digest %v (want %v)", f.part, f.have.Revision, f.digest, f.have.Digest)
	}
	return true
}

func (f *follower) applyRun(t tester, run []Encoded, most int) {
	t.Helper()
	message := decodeMessage(t, most, run...)
	if len(message.GetRecords()) != len(run) {
		t.Fatalf("a run of %d holds %d records", len(run), len(message.GetRecords()))
	}
	last := f.have.Revision
	for _, r := range message.GetRecords() {
		if r.GetPart() != f.part || r.GetRevision() <= last {
			t.Fatalf("record %d of %v after %d of %v", r.GetRevision(), r.GetPart(), last, f.part)
		}
		last = r.GetRevision()
		for _, e := range r.GetRemoves() {
			f.set(e.GetKind(), e.GetId(), nil)
		}
		for _, e := range r.GetPuts() {
			f.set(e.GetKind(), e.GetId(), append([]byte{}, e.GetValue()...))
		}
		if got := f.digest.Bytes(); string(got) != string(r.GetDigestAfter()) {
			t.Fatalf("revision %d: content has digest %x (want %x)", r.GetRevision(), got, r.GetDigestAfter())
		}
	}
}

func (f *follower) applySnapshot(t tester, chunks []Encoded, most int) {
	t.Helper()
	f.content, f.digest = map[store.ID][]byte{}, gatewayv1.Digest{}
	var last store.ID
	for i, chunk := range chunks {
		c := decodeMessage(t, most, chunk).GetSnapshot()
		if int(c.GetIndex()) != i || c.GetLast() != (i == len(chunks)-1) || c.GetState().GetPart() != f.part {
			t.Fatalf("chunk %d of %d: index %d, last %v, part %v", i, len(chunks), c.GetIndex(), c.GetLast(), c.GetState().GetPart())
		}
		for _, e := range c.GetEntries() {
			id := store.ID{Kind: e.GetKind(), ID: e.GetId()}
			if id.Compare(last) <= 0 {
				t.Fatalf("entry %v after %v", id, last)
			}
			last = id
			f.set(id.Kind, id.ID, append([]byte{}, e.GetValue()...))
		}
		if got := c.GetState(); i == len(chunks)-1 && got.GetCount() != uint64(len(f.content)) {
			t.Fatalf("snapshot of %d entries says %d", len(f.content), got.GetCount())
		}
	}
}

// decodeMessage decodes the concatenation of encodings, which is one message.
func decodeMessage(t tester, most int, encoded ...Encoded) *gatewayv1.SyncResponse {
	t.Helper()
	all := slices.Concat(encoded...)
	if len(all) > most {
		t.Fatalf("a message of %d bytes (want at most %d)", len(all), most)
	}
	message := &gatewayv1.SyncResponse{}
	if err := proto.Unmarshal(all, message); err != nil {
		t.Fatalf("message: %v", err)
	}
	return message
}

func digestOf(content map[store.ID][]byte) (d gatewayv1.Digest) {
	for id, value := range content {
		d = d.Add(gatewayv1.EntryDigest(id.Kind, id.ID, value))
	}
	return d
}

// maxMessage makes runs, chunks and records too large to send common.
const maxMessage = 2000

// machine is a store with its publisher, what they should hold, and followers of both parts.
type machine struct {
	t         *testing.T
	open      func() store.Store
	store     store.Store
	p         *Publisher
	model     map[store.ID][]byte
	followers []*follower
}

func (m *machine) start() {
	m.store = m.open()
	m.p = publisher(m.t, m.store)
	m.p.tail.limit, m.p.maxMessage = 6000, maxMessage
}

func (m *machine) stop() {
	m.p.Close()
	if err := m.store.Close(); err != nil {
		m.t.Fatal(err)
	}
}

var anyID = rapid.Custom(func(t *rapid.T) store.ID {
	kind := rapid.SampledFrom([]gatewayv1.Kind{
		gatewayv1.Kind_KIND_SETTINGS, gatewayv1.Kind_KIND_SERVICE, gatewayv1.Kind_KIND_KEY, gatewayv1.Kind_KIND_KEY,
	}).Draw(t, "kind")
	id := ""
	if kind != gatewayv1.Kind_KIND_SETTINGS {
		id = rapid.StringMatching("[ab]{1,2}").Draw(t, "id")
	}
	return store.ID{Kind: kind, ID: id}
})

// valueOf draws a value; keys have a secret of their own, so that no two share one.
func valueOf(t *rapid.T, id store.ID) []byte {
	size := rapid.SampledFrom([]int{0, 1, 100, 900, 900}).Draw(t, "size")
	fill := rapid.StringMatching("[xyz]").Draw(t, "fill")
	if id.Kind != gatewayv1.Kind_KIND_KEY {
		return slices.Repeat([]byte(fill), size)
	}
	return keyValue(t, id.ID+fill, string(slices.Repeat([]byte(fill), size)))
}

// commit makes a change of both parts, or one that fails and must leave nothing. All is drawn before: the change is made
// in another goroutine.
func (m *machine) commit(t *rapid.T) {
	type op struct {
		id    store.ID
		value []byte // nil: remove
	}
	var ops []op
	model := maps.Clone(m.model)
	for range rapid.IntRange(1, 4).Draw(t, "entries") {
		o := op{id: anyID.Draw(t, "id")}
		delete(model, o.id)
		if rapid.Bool().Draw(t, "put") {
			o.value = valueOf(t, o.id)
			model[o.id] = o.value
		}
		ops = append(ops, o)
	}
	var want error
	if rapid.IntRange(0, 5).Draw(t, "fail") == 0 {
		want = errFail
	}
	_, err := m.p.Commit(m.t.Context(), func(tx Tx) error {
		for _, o := range ops {
			if o.value == nil {
				tx.Remove(o.id.Kind, o.id.ID)
			} else {
				tx.Put(o.id.Kind, o.id.ID, o.value)
			}
		}
		return cmp.Or(checkTx(tx, model), want)
	})
	if !errors.Is(err, want) {
		t.Fatalf("Commit() = %v, want %v", err, want)
	}
	if want == nil {
		m.model = model
	}
}

// checkTx compares what a change sees of itself with the model.
func checkTx(tx Tx, model map[store.ID][]byte) error {
	got := map[store.ID][]byte{}
	var last store.ID
	for _, part := range []gatewayv1.Part{gatewayv1.Part_PART_CONFIG, gatewayv1.Part_PART_KEYS} {
		for id, value := range tx.Entries(part) {
			if id.Compare(last) <= 0 || id.Part() != part {
				return fmt.Errorf("Entries(%v): %v after %v", part, id, last)
			}
			last, got[id] = id, value
		}
	}
	if !maps.EqualFunc(got, model, bytes.Equal) {
		return fmt.Errorf("Entries() = %d, want %d, or others", len(got), len(model))
	}
	for id, value := range model {
		if v, ok := tx.Get(id.Kind, id.ID); !ok || !bytes.Equal(v, value) {
			return fmt.Errorf("Get(%v) = %.20q, %v, want %.20q", id, v, ok, value)
		}
		for _, s := range secretsOf(id, value) {
			if name, ok := tx.KeyByHash([32]byte(s.GetSha256())); !ok || name != id.ID {
				return fmt.Errorf("KeyByHash(of %v) = %q, %v", id, name, ok)
			}
		}
	}
	return nil
}

// TestFollowers lets followers fall behind, drift, and live through restarts and epochs, and checks that each ends with the
// content and the digest of the head.
func TestFollowers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{t: t, open: place(t), model: map[store.ID][]byte{}}
		m.start()
		defer func() { m.stop() }()
		for range 2 {
			m.followers = append(m.followers, &follower{part: gatewayv1.Part_PART_CONFIG}, &follower{part: gatewayv1.Part_PART_KEYS})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"commit":  m.commit,
			"commit2": m.commit,
			"follow":  func(t *rapid.T) { rapid.SampledFrom(m.followers).Draw(t, "follower").follow(t, m.p) },
			"drift": func(t *rapid.T) {
				f := rapid.SampledFrom(m.followers).Draw(t, "follower")
				f.have.Digest = f.have.Digest.Add(gatewayv1.EntryDigest(0, "drift", nil))
			},
			"restart": func(*rapid.T) {
				m.stop()
				m.start()
			},
			"epoch": func(t *rapid.T) {
				if _, err := m.p.BeginEpoch(m.t.Context(), nil, m.p.State().Revision+3); err != nil {
					t.Fatalf("BeginEpoch() = %v", err)
				}
				for _, f := range m.followers {
					f.have.Ours = false
				}
			},
		})
		for _, f := range m.followers {
			for n := 0; f.follow(rt, m.p); n++ {
				if n > 1000 {
					rt.Fatalf("%v: no end of updates, at %+v", f.part, f.have)
				}
			}
			want := maps.Clone(m.model)
			maps.DeleteFunc(want, func(id store.ID, _ []byte) bool { return id.Part() != f.part })
			head := m.p.State().Part(f.part)
			if got := digestOf(want); got != head.Digest || f.have.Digest != head.Digest || head.Count != uint64(len(want)) {
				rt.Errorf("%v: head %+v, follower %v, want digest %v of %d entries", f.part, head, f.have, got, len(want))
			}
			if !maps.EqualFunc(f.content, want, bytes.Equal) {
				rt.Errorf("%v: follower has %d entries, want %d, or others", f.part, len(f.content), len(want))
			}
		}
	})
}
