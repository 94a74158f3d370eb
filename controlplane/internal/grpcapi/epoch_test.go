package grpcapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// knows makes a data plane hold keys of another store, at a revision of its epoch.
func (p *peer) knows(epoch string, revision uint64, keys map[string]*gatewayv1.Key) {
	p.t.Helper()
	c := &content{entries: map[store.ID][]byte{}}
	for name, key := range keys {
		c.entries[store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: name}] = encode(p.t, key)
	}
	c.state = &gatewayv1.PartState{Part: keysPart, Revision: revision, Digest: c.digest().Bytes(), Count: uint64(len(keys))}
	p.epoch, p.contents[keysPart] = epoch, c
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyOf is a key of another store, whose secrets expire at those moments; 0: never.
func keyOf(name string, expires ...int64) *gatewayv1.Key {
	k := &gatewayv1.Key{Source: gatewayv1.KeySource_KEY_SOURCE_STORE}
	for i, at := range expires {
		hash := secretOf(name + strings.Repeat("'", i))
		k.Secrets = append(k.Secrets, &gatewayv1.Secret{Sha256: hash[:], ExpiresAtMs: at})
	}
	return k
}

// page is the answer to a list of keys.
func (p *peer) page() *gatewayv1.KeyPage {
	page := &gatewayv1.KeyPage{}
	for id, value := range p.contents[keysPart].entries {
		page.Entries = append(page.Entries, &gatewayv1.Entry{Kind: id.Kind, Id: id.ID, Value: value})
	}
	return page
}

func TestForeign(t *testing.T) {
	for _, test := range []struct {
		name   string
		knows  func(w *world, p *peer)
		reason string
	}{
		{
			"ahead in the same epoch: the store was rolled back", func(w *world, p *peer) { p.knows(w.publisher.State().Epoch, 2, nil) },
			"it holds revision 2, this store only 1: the store was rolled back",
		},
		{
			"another store", func(_ *world, p *peer) { p.knows("elsewhere", 1, nil) },
			"it follows epoch elsewhere, which this store (epoch EPOCH) does not descend from",
		},
		{"ahead of where this store took its epoch over", func(w *world, p *peer) {
			if _, err := w.publisher.BeginEpoch(t.Context(), []store.Ancestor{{Epoch: "before", Revision: 8}}, 8); err != nil {
				t.Fatal(err)
			}
			p.knows("before", 9, nil)
		}, "it holds revision 9 of epoch before, this store continues that epoch from revision 8 only"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options{})
			p := newPeer(t, "a")
			test.knows(w, p)
			welcome := p.connect(w)
			want := strings.ReplaceAll(test.reason, "EPOCH", w.publisher.State().Epoch)
			if welcome.GetForeign() != want {
				t.Errorf("foreign = %q, want %q", welcome.GetForeign(), want)
			}
			w.becomes("a", isForeign)
			w.addKey("alice")
			w.load(configOf("users"))
			p.say(&gatewayv1.Applied{Part: keysPart, Revision: 3})
			p.say(&gatewayv1.DataPlaneHeartbeat{Serving: []*gatewayv1.PartState{{Part: keysPart, Revision: 2}}, Address: "10.0.0.9:80"})
			p.idle(w)
			got := w.fleet.Member("a").Describe(w.publisher.State())
			if got.GetState() != isForeign || got.GetAddress() != "10.0.0.9:80" {
				t.Errorf("Describe() = %v, want foreign and alive", got)
			}
			if w.proven(keysPart) {
				t.Error("a foreign data plane proves something")
			}
		})
	}
}

// A data plane of an epoch that this store continues follows. It is sent what differs; what is the same it takes over by itself.
func TestDescendant(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	p.leave(w)
	was := w.publisher.State()
	if _, err := w.publisher.BeginEpoch(t.Context(), nil, 900); err != nil {
		t.Fatal(err)
	}
	w.addKey("alice")
	welcome := p.connect(w)
	if diff := cmp.Diff([]*gatewayv1.Ancestor{{Epoch: was.Epoch, Revision: was.Revision}}, welcome.GetLineage(), protocmp.Transform()); diff != "" {
		t.Errorf("lineage differs (-want +got):\n%s", diff)
	}
	p.contents[keysPart].chunks = 0
	if part := p.take(); part != keysPart || p.contents[keysPart].chunks != 1 {
		t.Errorf("got %v in %d chunks, want a snapshot of the keys", part, p.contents[keysPart].chunks)
	}
	p.answer(keysPart)
	p.catchUp(w, keysPart)
	p.idle(w)
	w.becomes("a", lagging)
	if w.proven(configPart) {
		t.Error("the configuration is proven before the data plane took it over")
	}
	p.answer(configPart) // it has the very content of the Welcome
	w.becomes("a", serving)
	w.load(configOf("users"))
	p.catchUp(w, configPart)
	p.catchUp(w, keysPart)
	w.becomes("a", serving)
	if c := p.contents[configPart]; c.chunks != 1 {
		t.Errorf("the configuration came in %d chunks, want records on top of the first one", c.chunks)
	}
}

// A data plane may see from Welcome that it has a part while its snapshot is under way: both answers are right.
func TestTakenOverWhileItIsSent(t *testing.T) {
	w := newWorld(t, options{})
	p := newPeer(t, "a")
	welcome := p.connect(w)
	for _, s := range welcome.GetParts() {
		p.say(&gatewayv1.Applied{Part: s.GetPart(), Revision: s.GetRevision(), Digest: s.GetDigest()})
	}
	w.becomes("a", serving)
	p.settle(w)
	w.becomes("a", serving)
}
