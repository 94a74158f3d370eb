package grpcapi

import (
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
