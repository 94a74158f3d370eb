package grpcapi

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
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

func (w *world) adopt(req *gatewayv1.AdoptDataPlanesRequest) (*gatewayv1.AdoptDataPlanesResponse, error) {
	stream, err := gatewayv1.NewDataPlaneServiceClient(w.conn).AdoptDataPlanes(w.ctx(), req)
	if err != nil {
		return nil, err
	}
	all := &gatewayv1.AdoptDataPlanesResponse{}
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		proto.Merge(all, page)
	}
}

func TestAdopt(t *testing.T) {
	w := newWorld(t, options{})
	other := w.joins("other")
	w.addKey("here")
	w.addKey("same")
	other.catchUp(w, keysPart)
	p := newPeer(t, "a")
	p.knows("elsewhere", 700, map[string]*gatewayv1.Key{"there": keyOf("there", 0), "same": keyOf("same", 0)})
	p.connect(w)
	was := w.publisher.State()
	changes := []*gatewayv1.KeyChange{
		{Dataplane: "a", Name: "carol", Revived: true}, {Dataplane: "a", Name: "here", Revived: true}, {Dataplane: "a", Name: "there", Dropped: true},
	}
	answer := func(req *gatewayv1.AdoptDataPlanesRequest) *gatewayv1.AdoptDataPlanesResponse {
		t.Helper()
		type result struct {
			resp *gatewayv1.AdoptDataPlanesResponse
			err  error
		}
		done := make(chan result, 1)
		go func() {
			resp, err := w.adopt(req)
			done <- result{resp, err}
		}()
		p.obey(p.page())
		r := <-done
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.resp
	}
	dry := answer(&gatewayv1.AdoptDataPlanesRequest{Ids: []string{"a", "a"}, DryRun: true})
	if diff := cmp.Diff(&gatewayv1.AdoptDataPlanesResponse{Changes: changes, Adopted: []string{"a"}}, dry, protocmp.Transform()); diff != "" {
		t.Errorf("dry run differs (-want +got):\n%s", diff)
	}
	if !cmp.Equal(was, w.publisher.State(), cmp.AllowUnexported(gatewayv1.Digest{})) {
		t.Error("a dry run changed the store")
	}
	other.idle(w)

	got := answer(&gatewayv1.AdoptDataPlanesRequest{All: true})
	now := w.publisher.State()
	want := &gatewayv1.AdoptDataPlanesResponse{Changes: changes, Adopted: []string{"a"}, Epoch: now.Epoch}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("adoption differs (-want +got):\n%s", diff)
	}
	if now.Epoch == was.Epoch || now.Revision != 700 {
		t.Errorf("epoch %s at revision %d, want a new one at 700", now.Epoch, now.Revision)
	}
	for _, p := range []*peer{p, other} {
		wantStatus(t, p.ends().Err(), codes.Aborted, "sync: the store began a new epoch, connect again")
	}
	w.becomes("a", disconnected)
	w.becomes("other", disconnected)

	p.connect(w)
	p.takeBoth()
	p.catchUp(w, keysPart)
	w.becomes("a", serving)
	if n := len(p.contents[keysPart].entries); n != 3 || p.has("there") {
		t.Errorf("the adopted one has %d keys, want the 3 of this store", n)
	}
	other.connect(w)
	other.answer(configPart)
	other.answer(keysPart)
	other.idle(w) // it had all of it
	w.becomes("other", serving)
	if revision := w.addKey("new"); revision != 701 {
		t.Errorf("the next revision is %d, want 701", revision)
	}
}

func TestAdoptRefuses(t *testing.T) {
	w := newWorld(t, options{})
	w.joins("a")
	gone := w.joins("gone")
	gone.leave(w)
	far := newPeer(t, "far")
	far.knows("elsewhere", 1<<60, nil)
	far.connect(w)
	for _, test := range []struct {
		name    string
		req     *gatewayv1.AdoptDataPlanesRequest
		code    codes.Code
		message string
	}{
		{"nobody", &gatewayv1.AdoptDataPlanesRequest{}, codes.InvalidArgument, "adopt: got 0 ids and all=false (want ids or all)"},
		{"both", &gatewayv1.AdoptDataPlanesRequest{Ids: []string{"a"}, All: true}, codes.InvalidArgument, "adopt: got 1 ids and all=true (want ids or all)"},
		{"unknown", &gatewayv1.AdoptDataPlanesRequest{Ids: []string{"b"}}, codes.NotFound, `unknown data plane "b"`},
		{"not foreign", &gatewayv1.AdoptDataPlanesRequest{Ids: []string{"a"}}, codes.FailedPrecondition, `data plane "a" is not a connected foreign one`},
		{"gone", &gatewayv1.AdoptDataPlanesRequest{Ids: []string{"gone"}}, codes.FailedPrecondition, `data plane "gone" is not a connected foreign one`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := w.adopt(test.req)
			wantStatus(t, err, test.code, test.message)
		})
	}
	t.Run("a revision near the end of numbers", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			_, err := w.adopt(&gatewayv1.AdoptDataPlanesRequest{All: true})
			done <- err
		}()
		far.t = t
		far.obey()
		wantStatus(t, <-done, codes.InvalidArgument, `data plane "far": got revision 1152921504606846976 (want at most 9007199254740992)`)
	})
	t.Run("gone while it is asked", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			_, err := w.adopt(&gatewayv1.AdoptDataPlanesRequest{All: true})
			done <- err
		}()
		far.hear()
		far.end()
		wantStatus(t, <-done, codes.Unavailable, `keys of data plane "far": data plane is not connected`)
	})
	if got := len(w.publisher.State().Lineage); got != 0 {
		t.Errorf("%d epochs began, want none", got)
	}
}

func TestAdoptNobody(t *testing.T) {
	w := newWorld(t, options{})
	got, err := w.adopt(&gatewayv1.AdoptDataPlanesRequest{All: true})
	if err != nil || len(got.GetAdopted()) != 0 || got.GetEpoch() != "" {
		t.Errorf("AdoptDataPlanes() = %v, %v, want nothing done", got, err)
	}
}

// With --adopt foreign data planes follow by themselves, and those that come together share an epoch.
func TestAdoptOnArrival(t *testing.T) {
	w := newWorld(t, options{adoptAll: true})
	var fleet []*peer
	for _, id := range []string{"a", "b", "c"} {
		p := newPeer(t, id)
		p.knows("elsewhere", 700, map[string]*gatewayv1.Key{"there": keyOf("there", 0)})
		p.connect(w)
		fleet = append(fleet, p)
	}
	for _, p := range fleet {
		for { // a command may still come, or the end
			m, err := p.stream.Recv()
			if err != nil {
				break
			}
			p.say(&gatewayv1.CommandResult{Id: m.GetCommand().GetId()})
		}
	}
	for _, p := range fleet {
		if welcome := p.connect(w); welcome.GetForeign() != "" {
			t.Errorf("%s is foreign: %s", p.id, welcome.GetForeign())
		}
		p.takeBoth()
		w.becomes(p.id, serving)
	}
	if got := len(w.publisher.State().Lineage); got != 2 {
		t.Errorf("the store descends from %d epochs, want its own first one and that of the fleet", got)
	}
}

// One that an adoption meanwhile covers needs no other one.
func TestAppendForeign(t *testing.T) {
	w := newWorld(t, options{})
	p := newPeer(t, "a")
	p.knows("elsewhere", 700, nil)
	p.connect(w)
	for _, test := range []struct {
		lineage []store.Ancestor
		want    int
	}{
		{nil, 1},
		{[]store.Ancestor{{Epoch: "before", Revision: 900}}, 1},
		{[]store.Ancestor{{Epoch: "elsewhere", Revision: 699}}, 1},
		{[]store.Ancestor{{Epoch: "before"}, {Epoch: "elsewhere", Revision: 700}}, 0},
	} {
		if got := appendForeign(nil, w.fleet.Member("a"), store.State{Lineage: test.lineage}); len(got) != test.want {
			t.Errorf("with lineage %v %d are picked, want %d", test.lineage, len(got), test.want)
		}
	}
}

func TestKeyChange(t *testing.T) {
	only := func(k *gatewayv1.Key, services ...string) *gatewayv1.Key {
		k.Only, k.Services = true, services
		return k
	}
	for _, test := range []struct {
		name             string
		there, here      *gatewayv1.Key
		revived, dropped bool
	}{
		{"the same", keyOf("k", 0), keyOf("k", 0), false, false},
		{"another encoding of the same", keyOf("k", 0), &gatewayv1.Key{Source: gatewayv1.KeySource_KEY_SOURCE_FILE, Secrets: keyOf("k", 0).GetSecrets()}, false, false},
		{"only there", keyOf("k", 0), nil, false, true},
		{"only here", nil, keyOf("k", 0), true, false},
		{"another secret", keyOf("k", 0), keyOf("other", 0), true, true},
		{"one secret more here", keyOf("k", 0), keyOf("k", 0, 0), true, false},
		{"one secret more there", keyOf("k", 0, 0), keyOf("k", 0), false, true},
		{"ends earlier here", keyOf("k", 2000), keyOf("k", 1000), false, true},
		{"never ends here", keyOf("k", 2000), keyOf("k", 0), true, false},
		{"another scope", only(keyOf("k", 0), "users"), keyOf("k", 0), true, true},
		{"other services", only(keyOf("k", 0), "users"), only(keyOf("k", 0), "orders"), true, true},
		{"a scoped one only there", only(keyOf("k", 0), "users"), nil, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bytes := func(k *gatewayv1.Key) []byte {
				if k == nil {
					return nil
				}
				return encode(t, k)
			}
			if revived, dropped := keyChange(bytes(test.there), bytes(test.here)); revived != test.revived || dropped != test.dropped {
				t.Errorf("keyChange() = revived %v, dropped %v, want %v, %v", revived, dropped, test.revived, test.dropped)
			}
		})
	}
	if revived, dropped := keyChange([]byte{0xff}, nil); !revived || !dropped {
		t.Errorf("keyChange() of what cannot be read = %v, %v, want both", revived, dropped)
	}
}
