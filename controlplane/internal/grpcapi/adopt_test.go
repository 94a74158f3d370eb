package grpcapi

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

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
	var answering sync.WaitGroup
	for _, p := range fleet {
		answering.Go(func() {
			for { // a command may still come, or the end
				m, err := p.stream.Recv()
				if err != nil {
					return
				}
				p.say(&gatewayv1.CommandResult{Id: m.GetCommand().GetId()})
			}
		})
	}
	answering.Wait()
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

// Those whose state the new lineage covers follow too, so they are compared and named, and nobody else.
func TestAdoptCovers(t *testing.T) {
	w := newWorld(t, options{})
	fleet := map[string]*peer{}
	for _, test := range []struct {
		id, epoch string
		revision  uint64
	}{{"a", "elsewhere", 700}, {"b", "elsewhere", 690}, {"newer", "elsewhere", 701}, {"other", "nowhere", 1}} {
		p := newPeer(t, test.id)
		p.knows(test.epoch, test.revision, map[string]*gatewayv1.Key{"of-" + test.id: keyOf(test.id, 0)})
		p.connect(w)
		fleet[test.id] = p
	}
	for _, dryRun := range []bool{true, false} {
		done := make(chan error, 1)
		got := &gatewayv1.AdoptDataPlanesResponse{}
		go func() {
			resp, err := w.adopt(&gatewayv1.AdoptDataPlanesRequest{Ids: []string{"a"}, DryRun: dryRun})
			proto.Merge(got, resp)
			done <- err
		}()
		fleet["a"].obey(fleet["a"].page())
		fleet["b"].obey(fleet["b"].page())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := &gatewayv1.AdoptDataPlanesResponse{Adopted: []string{"a", "b"}, Changes: []*gatewayv1.KeyChange{
			{Dataplane: "a", Name: "carol", Revived: true},
			{Dataplane: "a", Name: "of-a", Dropped: true},
			{Dataplane: "b", Name: "carol", Revived: true},
			{Dataplane: "b", Name: "of-b", Dropped: true},
		}}
		if !dryRun {
			want.Epoch = w.publisher.State().Epoch
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("dry run %v differs (-want +got):\n%s", dryRun, diff)
		}
	}
	for _, p := range fleet {
		p.ends()
		foreign := p.connect(w).GetForeign() != ""
		if named := p.id == "a" || p.id == "b"; foreign == named {
			t.Errorf("%s is foreign: %v", p.id, foreign)
		}
	}
}

// writer is a log that is a function.
type writer func(line []byte)

func (w writer) Write(line []byte) (int, error) {
	w(line)
	return len(line), nil
}

// Key changes are logged while the old epoch still stands.
func TestAdoptLogsFirst(t *testing.T) {
	w := newWorld(t, options{})
	p := newPeer(t, "a")
	p.knows("elsewhere", 700, map[string]*gatewayv1.Key{"there": keyOf("there", 0)})
	p.connect(w)
	was, changes := w.publisher.State().Epoch, 0
	log := writer(func(line []byte) {
		if bytes.Contains(line, []byte("adoption changes a key")) && w.publisher.State().Epoch == was {
			changes++
		}
	})
	a := newAdopter(Deps{Publisher: w.publisher, Fleet: w.fleet, Log: slog.New(slog.NewTextHandler(log, nil))})
	done := make(chan error, 1)
	go func() {
		_, err := a.adopt(t.Context(), a.adoptAll, false)
		done <- err
	}()
	p.obey(p.page())
	if err := <-done; err != nil || changes != 2 || w.publisher.State().Epoch == was {
		t.Errorf("adopt() = %v with %d changes logged before it, want the 2 of carol and there", err, changes)
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
