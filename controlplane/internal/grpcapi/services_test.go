package grpcapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func (w *world) keyClient() gatewayv1.KeyServiceClient { return gatewayv1.NewKeyServiceClient(w.conn) }

func addRequest(name, secret string) *gatewayv1.AddKeyRequest {
	hash := secretOf(secret)
	return &gatewayv1.AddKeyRequest{Name: name, Sha256: hash[:]}
}

func TestKeys(t *testing.T) {
	w := newWorld(t, options{})
	c := w.keyClient()
	expires := time.Now().Add(time.Hour).UnixMilli()
	req := addRequest("alice", "alice")
	req.SecretId, req.ExpiresAtMs, req.Services = "al1ce", expires, []string{"users"}
	added, err := c.AddKey(w.ctx(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := &gatewayv1.KeyInfo{
		Id: "al1ce", Name: "alice", Only: true, Services: []string{"users"}, Secrets: []*gatewayv1.SecretInfo{{Id: "al1ce", ExpiresAtMs: expires}},
	}
	ignore := protocmp.IgnoreFields(&gatewayv1.SecretInfo{}, "created_at_ms")
	if diff := cmp.Diff(want, added.GetKey(), protocmp.Transform(), ignore); diff != "" || added.GetRevision() != 3 {
		t.Errorf("AddKey() at revision %d (want 3) differs (-want +got):\n%s", added.GetRevision(), diff)
	}
	again, err := c.AddKey(w.ctx(), req)
	if err != nil || again.GetRevision() != 3 {
		t.Errorf("AddKey() again = %v, %v, want revision 3", again, err)
	}
	hash := secretOf("alice's second")
	rotated, err := c.RotateKey(w.ctx(), &gatewayv1.RotateKeyRequest{Name: "alice", Sha256: hash[:], SecretId: "second", OverlapMs: 60_000})
	if err != nil || rotated.GetRevision() != 4 || len(rotated.GetKey().GetSecrets()) != 2 || rotated.GetKey().GetId() != "second" {
		t.Errorf("RotateKey() = %v, %v", rotated, err)
	}
	got, err := c.GetKey(w.ctx(), &gatewayv1.GetKeyRequest{Name: "second"})
	if diff := cmp.Diff(rotated.GetKey(), got.GetKey(), protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("GetKey() = %v, differs (-want +got):\n%s", err, diff)
	}
	revoked, err := c.RevokeKey(w.ctx(), &gatewayv1.RevokeKeyRequest{NameOrId: "alice"})
	if diff := cmp.Diff(&gatewayv1.RevokeKeyResponse{Revision: 5, Name: "alice", SecretIds: []string{"al1ce", "second"}}, revoked, protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("RevokeKey() = %v, differs (-want +got):\n%s", err, diff)
	}
}

func TestKeyErrors(t *testing.T) {
	w := newWorld(t, options{})
	w.addKey("alice")
	c := w.keyClient()
	hash := secretOf("new")
	add := func(change func(*gatewayv1.AddKeyRequest)) func(context.Context) error {
		return func(ctx context.Context) error {
			req := addRequest("bob", "bob")
			change(req)
			_, err := c.AddKey(ctx, req)
			return err
		}
	}
	rotate := func(req *gatewayv1.RotateKeyRequest) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.RotateKey(ctx, req)
			return err
		}
	}
	revoke := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.RevokeKey(ctx, &gatewayv1.RevokeKeyRequest{NameOrId: name})
			return err
		}
	}
	for _, test := range []struct {
		name string
		call func(context.Context) error
		code codes.Code
		part string // of the message
	}{
		{"a short hash", add(func(r *gatewayv1.AddKeyRequest) { r.Sha256 = r.Sha256[:31] }), codes.InvalidArgument, "sha256: got 31 bytes (want 32)"},
		{"no name", add(func(r *gatewayv1.AddKeyRequest) { r.Name = "" }), codes.InvalidArgument, "name: wrong length"},
		{"a name of two lines", add(func(r *gatewayv1.AddKeyRequest) { r.Name = "a\nb" }), codes.InvalidArgument, "name"},
		{"past expiry", add(func(r *gatewayv1.AddKeyRequest) { r.ExpiresAtMs = 1000 }), codes.InvalidArgument, "lies in the past"},
		{"expiry before all time", add(func(r *gatewayv1.AddKeyRequest) { r.ExpiresAtMs = -1 << 63 }), codes.InvalidArgument, "lies in the past"},
		{"unknown service", add(func(r *gatewayv1.AddKeyRequest) { r.Services = []string{"users", "nope"} }), codes.InvalidArgument, `not in the configuration: "nope"`},
		{"the name is taken", add(func(r *gatewayv1.AddKeyRequest) { r.Name = "alice" }), codes.AlreadyExists, "declared in the store"},
		{"the name is in the file", add(func(r *gatewayv1.AddKeyRequest) { r.Name = "carol" }), codes.AlreadyExists, "declared in /etc/gateway.yaml:7"},
		{"unknown key", func(ctx context.Context) error {
			_, err := c.GetKey(ctx, &gatewayv1.GetKeyRequest{Name: "nobody"})
			return err
		}, codes.NotFound, `key "nobody": not found`},
		{"revoke unknown", revoke("nobody"), codes.NotFound, `key "nobody": not found`},
		{"revoke a key of the file", revoke("carol"), codes.FailedPrecondition, `key "carol": declared in /etc/gateway.yaml:7, change it there`},
		{"rotate unknown", rotate(&gatewayv1.RotateKeyRequest{Name: "nobody", Sha256: hash[:]}), codes.NotFound, `key "nobody": not found`},
		{"rotate a key of the file", rotate(&gatewayv1.RotateKeyRequest{Name: "carol", Sha256: hash[:]}), codes.FailedPrecondition, "declared in /etc/gateway.yaml:7"},
		{"negative overlap", rotate(&gatewayv1.RotateKeyRequest{Name: "alice", Sha256: hash[:], OverlapMs: -1}), codes.InvalidArgument, "overlap"},
		{"endless overlap", rotate(&gatewayv1.RotateKeyRequest{Name: "alice", Sha256: hash[:], OverlapMs: 1 << 62}), codes.InvalidArgument, "overlap: got 4611686018427387904 ms (want at most 3153600000000)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.publisher.State()
			err := test.call(w.ctx())
			wantStatus(t, err, test.code, "")
			if !strings.Contains(fmt.Sprint(err), test.part) {
				t.Errorf("got %v, want %q in it", err, test.part)
			}
			if after := w.publisher.State(); after.Revision != before.Revision {
				t.Errorf("revision went from %d to %d", before.Revision, after.Revision)
			}
		})
	}
}

func TestRotateTwice(t *testing.T) {
	w := newWorld(t, options{})
	w.addKey("alice")
	var err error
	for _, secret := range []string{"second", "third"} {
		hash := secretOf(secret)
		_, err = w.keyClient().RotateKey(w.ctx(), &gatewayv1.RotateKeyRequest{Name: "alice", Sha256: hash[:], OverlapMs: 60_000})
	}
	wantStatus(t, err, codes.FailedPrecondition, "")
}

func TestListKeysInPages(t *testing.T) {
	w := newWorld(t, options{})
	names := make([]string, 2*keysPerPage)
	for i := range names {
		names[i] = fmt.Sprintf("key-%05d", i)
	}
	w.putKeys(names, 300)
	stream, err := w.keyClient().ListKeys(w.ctx(), &gatewayv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	pages := 0
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pages++
		if size := proto.Size(page); size > gatewayv1.MaxMessage {
			t.Errorf("page %d has %d bytes", pages, size)
		}
		for _, k := range page.GetKeys() {
			got = append(got, k.GetName())
		}
	}
	if want := append([]string{"carol"}, names...); !cmp.Equal(got, want) || pages < 3 {
		t.Errorf("%d keys in %d pages, want %d in order and in several", len(got), pages, len(want))
	}
}

// rollouts opens a watch.
func (w *world) rollouts(req *gatewayv1.WatchRolloutRequest) func() *gatewayv1.WatchRolloutResponse {
	w.t.Helper()
	stream, err := gatewayv1.NewRolloutServiceClient(w.conn).WatchRollout(w.ctx(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return func() *gatewayv1.WatchRolloutResponse {
		w.t.Helper()
		m, err := stream.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		if m.GetDone() {
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				w.t.Errorf("after the last message: %v, want the end", err)
			}
		}
		return m
	}
}

func TestWatchRollout(t *testing.T) {
	w := newWorld(t, options{})
	a, b := w.joins("a"), w.joins("b")
	revision := w.addKey("alice")
	next := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, Entry: "alice", TimeoutMs: 60_000})
	if m := next(); m.GetDone() || len(m.GetRollout().GetLagging()) != 2 {
		t.Errorf("at first: %v, want both lagging", m)
	}
	a.answer(a.take())
	m := next()
	if m.GetDone() || len(m.GetRollout().GetApplied()) != 1 || m.GetRollout().GetLagging()[0].GetRevision() != revision-2 {
		t.Errorf("after one answer: %v", m)
	}
	b.answer(b.take())
	m = next()
	if !m.GetDone() || !m.GetProven() || len(m.GetRollout().GetApplied()) != 2 {
		t.Errorf("after both: %v, want it proven", m)
	}
	for _, by := range m.GetRollout().GetApplied() {
		if by.GetAfterMs() <= 0 {
			t.Errorf("%s served it after %v ms", by.GetDataplane(), by.GetAfterMs())
		}
	}
}

func TestWatchRolloutEnds(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	revision := w.addKey("alice")
	timeout := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, TimeoutMs: 1})
	for m := timeout(); ; m = timeout() {
		if m.GetProven() {
			t.Errorf("proven without an answer: %v", m)
		}
		if m.GetDone() {
			break
		}
	}
	p.answer(p.take())
	w.becomes("a", serving)
	p.leave(w)
	gone := w.rollouts(&gatewayv1.WatchRolloutRequest{Part: keysPart, Revision: revision, Revocation: true, TimeoutMs: 1})
	m := gone()
	for !m.GetDone() {
		m = gone()
	}
	if m.GetProven() || len(m.GetRollout().GetDisconnected()) != 1 {
		t.Errorf("%v, want it disconnected", m)
	}
	for _, req := range []*gatewayv1.WatchRolloutRequest{{Revision: 1}, {Part: keysPart}, {Part: 9, Revision: 1}} {
		stream, err := gatewayv1.NewRolloutServiceClient(w.conn).WatchRollout(w.ctx(), req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		wantStatus(t, err, codes.InvalidArgument, fmt.Sprintf("rollout: got part %v revision %d (want config or keys, and a revision from 1)", req.GetPart(), req.GetRevision()))
	}
}

func TestWait(t *testing.T) {
	for ms, want := range map[int64]time.Duration{0: 10 * time.Second, -5: 10 * time.Second, 250: 250 * time.Millisecond, 1 << 62: time.Hour} {
		if got := wait(ms); got != want {
			t.Errorf("wait(%d) = %v, want %v", ms, got, want)
		}
	}
}

func TestListBreakers(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	open := &gatewayv1.BreakerState{Service: "users", State: gatewayv1.CircuitState_CIRCUIT_STATE_OPEN, Trips: 2, LastError: "refused\n"}
	closed := &gatewayv1.BreakerState{Service: "orders", State: gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED}
	p.say(&gatewayv1.BreakerReport{Reset_: true, States: []*gatewayv1.BreakerState{open, closed}})
	w.eventually("breakers are known", func() bool { return len(w.fleet.Member("a").Breakers("")) == 2 })
	c := gatewayv1.NewBreakerServiceClient(w.conn)
	stream, err := c.ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "users", Watch: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *gatewayv1.ListBreakersResponse {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	cleaned := proto.CloneOf(open)
	cleaned.LastError = "refused "
	want := &gatewayv1.ListBreakersResponse{Breakers: []*gatewayv1.DataPlaneBreaker{{Dataplane: "a", State: cleaned}}}
	if diff := cmp.Diff(want, next(), protocmp.Transform()); diff != "" {
		t.Errorf("first page differs (-want +got):\n%s", diff)
	}
	if !next().GetSynced() {
		t.Error("synced is not set after what there was")
	}
	// The same again and other services are no news; what changed is.
	p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{open, {Service: "orders", Trips: 1}}})
	p.say(&gatewayv1.BreakerReport{States: []*gatewayv1.BreakerState{{Service: "users", Trips: 3}}})
	if got := next().GetBreakers(); len(got) != 1 || got[0].GetState().GetTrips() != 3 {
		t.Errorf("next = %v, want users with 3 trips", got)
	}

	unknown, err := c.ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "nope"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = unknown.Recv()
	wantStatus(t, err, codes.NotFound, `unknown service "nope"`)
}

func TestResetBreaker(t *testing.T) {
	w := newWorld(t, options{})
	c := gatewayv1.NewBreakerServiceClient(w.conn)
	does, fails, silent := w.joins("does"), w.joins("fails"), w.joins("silent")
	w.joins("gone").leave(w)
	reset := func(req *gatewayv1.ResetBreakerRequest) (<-chan *gatewayv1.ResetBreakerResponse, <-chan error) {
		resp, errs := make(chan *gatewayv1.ResetBreakerResponse, 1), make(chan error, 1)
		go func() {
			r, err := c.ResetBreaker(w.ctx(), req)
			resp <- r
			errs <- err
		}()
		return resp, errs
	}
	resp, errs := reset(&gatewayv1.ResetBreakerRequest{Service: "users", TimeoutMs: 300})
	does.obey()
	cmd := fails.hear().GetCommand()
	if cmd.GetResetBreaker().GetService() != "users" {
		t.Errorf("command = %v", cmd)
	}
	fails.say(&gatewayv1.CommandResult{Id: cmd.GetId(), Error: `service "users": no breaker`})
	silent.hear()
	got := (<-resp).GetRollout()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	want := &gatewayv1.Rollout{
		Applied: []*gatewayv1.AppliedBy{{Dataplane: "does"}}, Lagging: []*gatewayv1.LaggingBy{{Dataplane: "silent"}},
		Rejected:     []*gatewayv1.RejectedBy{{Dataplane: "fails", Reason: `service "users": no breaker`}},
		Disconnected: []*gatewayv1.DisconnectedFrom{{Dataplane: "gone"}},
	}
	ignore := []cmp.Option{protocmp.Transform(), protocmp.IgnoreFields(&gatewayv1.AppliedBy{}, "after_ms"), protocmp.IgnoreFields(&gatewayv1.DisconnectedFrom{}, "last_seen_at_ms")}
	if diff := cmp.Diff(want, got, ignore...); diff != "" {
		t.Errorf("rollout differs (-want +got):\n%s", diff)
	}
	resp, errs = reset(&gatewayv1.ResetBreakerRequest{Service: "users", Dataplane: "does"})
	does.obey()
	if got := (<-resp).GetRollout(); len(got.GetApplied()) != 1 || len(got.GetLagging()) != 0 || <-errs != nil {
		t.Errorf("reset on one = %v", got)
	}
	for _, test := range []struct {
		req     *gatewayv1.ResetBreakerRequest
		code    codes.Code
		message string
	}{
		{&gatewayv1.ResetBreakerRequest{}, codes.InvalidArgument, "breaker reset: got no service (want a name)"},
		{&gatewayv1.ResetBreakerRequest{Service: "nope"}, codes.NotFound, `unknown service "nope"`},
		{&gatewayv1.ResetBreakerRequest{Service: "users", Dataplane: "nope"}, codes.NotFound, `unknown data plane "nope"`},
	} {
		_, err := c.ResetBreaker(w.ctx(), test.req)
		wantStatus(t, err, test.code, test.message)
	}
}

func TestDataPlanes(t *testing.T) {
	w := newWorld(t, options{})
	a := w.joins("a")
	w.joins("b")
	c := gatewayv1.NewDataPlaneServiceClient(w.conn)
	list := func() (ids []string) {
		t.Helper()
		stream, err := c.ListDataPlanes(w.ctx(), &gatewayv1.ListDataPlanesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			page, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return ids
			} else if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.GetDataplanes() {
				ids = append(ids, d.GetId()+" "+strings.TrimPrefix(d.GetState().String(), "DATA_PLANE_STATE_"))
			}
		}
	}
	_, err := c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"})
	wantStatus(t, err, codes.FailedPrecondition, `data plane is connected: "a"`)
	a.leave(w)
	if want := []string{"a DISCONNECTED", "b SERVING"}; !cmp.Equal(list(), want) {
		t.Errorf("list = %q, want %q", list(), want)
	}
	if _, err := c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"}); err != nil {
		t.Error(err)
	}
	if want := []string{"b SERVING"}; !cmp.Equal(list(), want) {
		t.Errorf("list = %q, want %q", list(), want)
	}
	_, err = c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"})
	wantStatus(t, err, codes.NotFound, `unknown data plane: "a"`)
}

func TestConfig(t *testing.T) {
	w := newWorld(t, options{})
	w.addKey("alice")
	c := gatewayv1.NewConfigServiceClient(w.conn)
	got, err := c.GetConfigStatus(w.ctx(), &gatewayv1.GetConfigStatusRequest{})
	if err != nil || got.GetFile() != "/etc/gateway.yaml" || got.GetRevision() != 2 || got.GetAppliedAtMs() == 0 || got.GetErrorAtMs() != 0 {
		t.Errorf("GetConfigStatus() = %v, %v", got, err)
	}
	// validate sends a file in pieces.
	validate := func(file string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
		stream, err := c.ValidateConfig(w.ctx())
		if err != nil {
			return nil, err
		}
		_ = stream.Send(&gatewayv1.ValidateConfigRequest{File: file}) // an error is that of CloseAndRecv
		for len(data) > 0 {
			n := min(len(data), 512<<10)
			if stream.Send(&gatewayv1.ValidateConfigRequest{Data: data[:n]}) != nil {
				break
			}
			data = data[n:]
		}
		return stream.CloseAndRecv()
	}
	mistake := func(line, column int64, path, message string) *gatewayv1.ConfigMistake {
		return &gatewayv1.ConfigMistake{File: "new.yaml", Line: line, Column: column, Path: path, Message: message}
	}
	const withKeys = "services: [{name: users, route_pattern: /users, urls: [\"http://a\"], middleware: [auth_apikey]}]\n" +
		"middleware_config: {auth_apikey: {valid_keys: [%s]}}\n"
	for _, test := range []struct {
		name string
		data string
		want *gatewayv1.ValidateConfigResponse
	}{
		{"good", fmt.Sprintf(withKeys, `{name: carol, key: another}`), &gatewayv1.ValidateConfigResponse{}},
		{"bad", "services: 3\nprot: 1\n", &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(1, 11, "services", "wrong type, got a number (want a list)"), mistake(2, 1, "prot", "unknown field, did you mean port?"),
		}}},
		{"a name of the store", fmt.Sprintf(withKeys, `{name: alice, key: another}`), &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(2, 48, "middleware_config.auth_apikey.valid_keys[0]", `key "alice" is in the store too (want it in one place: gatewayctl keys revoke alice)`),
		}}},
		{"a secret of the store", fmt.Sprintf(withKeys, `{name: dave, key: another}, {name: bob, key: secret of alice}`), &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(2, 76, "middleware_config.auth_apikey.valid_keys[1]", `key "bob" has the same secret as key "alice" of the store (want it in one place: gatewayctl keys revoke alice)`),
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.publisher.State().Revision
			got, err := validate("new.yaml", []byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("ValidateConfig() differs (-want +got):\n%s", diff)
			}
			if w.publisher.State().Revision != before {
				t.Error("a check changed the store")
			}
		})
	}
	_, err = validate(strings.Repeat("f", maxFileName+1), nil)
	wantStatus(t, err, codes.InvalidArgument, "validate: file: got 4097 bytes (want at most 4096)")
	_, err = validate("f", bytes.Repeat([]byte("#"), w.file.MaxBytes()+1))
	wantStatus(t, err, codes.InvalidArgument, fmt.Sprintf("validate: got more than %d bytes (want at most that)", w.file.MaxBytes()))
	if got, err := validate("f", bytes.Repeat([]byte("#"), 1<<20)); err != nil || len(got.GetMistakes()) == 0 {
		t.Errorf("a file in pieces: %v, %v", got, err)
	}
}

// panicking is a ConfigFile that fails in the worst way.
type panicking struct{ ConfigFile }

func (panicking) Status() *gatewayv1.GetConfigStatusResponse { panic("oh no") }

func (panicking) HasService(string) bool { panic("oh no") }

func TestPanicEndsOneCall(t *testing.T) {
	w := newWorld(t, options{config: func(c ConfigFile) ConfigFile { return panicking{c} }})
	p := w.joins("a")
	const message = "internal error, see the control plane's log"
	_, err := gatewayv1.NewConfigServiceClient(w.conn).GetConfigStatus(w.ctx(), &gatewayv1.GetConfigStatusRequest{})
	wantStatus(t, err, codes.Internal, message)
	stream, err := gatewayv1.NewBreakerServiceClient(w.conn).ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "users"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantStatus(t, err, codes.Internal, message)
	p.idle(w)
}

func TestPanicEndsOneStream(t *testing.T) {
	w := newWorld(t, options{})
	other, p := w.joins("other"), w.joins("a")
	done := make(chan error, 1)
	go func() {
		done <- w.fleet.Member("a").Do(p.stream.Context(), &gatewayv1.Command{}, func([]*gatewayv1.Entry) { panic("oh no") })
	}()
	p.obey(&gatewayv1.KeyPage{})
	wantStatus(t, p.ends().Err(), codes.Internal, "internal error, see the control plane's log")
	if err := <-done; err == nil {
		t.Error("the command succeeded")
	}
	other.idle(w)
}
