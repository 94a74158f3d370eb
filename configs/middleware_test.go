package configs

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// startOwn starts the data plane of configs/demo/middleware, a program of its own.
func (f *fleet) startOwn(id string) *plane {
	f.t.Helper()
	p := &plane{name: id, public: freeAddress(f.t), admin: freeAddress(f.t), log: new(logged), ended: make(chan struct{})}
	f.exec(p, "middleware", "--controlplane", f.grpc, "--listen", p.public, "--admin", p.admin, "--id", id, "--cache", filepath.Join(f.dir, "cache-"+id), "--drain", "1s")
	f.awaitReady(p)
	return p
}

// awaitRejected returns when the control plane shows that a data plane rejected the configuration, for a reason.
func (f *fleet) awaitRejected(id, reason string) {
	f.t.Helper()
	if got := f.awaitState(id, gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED).GetReason(); !strings.Contains(got, reason) {
		f.t.Errorf("%s rejected the configuration: %q, want %q in it", id, got, reason)
	}
}

// The sample of own middleware: without settings, with settings that change while it runs, with settings that are wrong.
func TestOwnMiddleware(t *testing.T) {
	t.Parallel()
	const alice, ops = "abc-123", "dwe-569"
	s := readSample(t, "demo/middleware/gateway.yaml")
	f := newFleet(t)
	f.write(s.content)
	f.startControl()
	p := f.startOwn("own")
	f.awaitServing()
	for key, name := range map[string]string{alice: "alice", ops: "ops", "wrong": ""} {
		if got := f.get(p, "/users", key).header.Get("X-Served-For"); got != name {
			t.Errorf("X-Served-For with the key %s = %q, want %q", key, got, name)
		}
	}
	f.expect(p, "/users", alice, answer{status: 200, body: s.backends[0].greeting})

	closed := strings.Replace(s.content, "active: false", "active: true", 1)
	f.apply(closed)
	closedTo := func(key string) {
		t.Helper()
		got := f.expect(p, "/users", key, answer{status: http.StatusServiceUnavailable, body: "Back at noon\n"})
		if wait := got.header.Get("Retry-After"); wait != "120" {
			t.Errorf("Retry-After = %q, want the 120 seconds of the file", wait)
		}
	}
	closedTo(alice)
	f.expect(p, "/users", "", answer{status: http.StatusUnauthorized})
	f.expect(p, "/users", ops, answer{status: 200, body: s.backends[0].greeting})

	f.write(strings.Replace(closed, "retry_after: 2m", "retry_after: soon", 1))
	f.reload <- struct{}{}
	f.awaitRejected("own", `service "users": middleware "maintenance": retry_after: not a time to wait, got "soon"`)
	closedTo(alice) // as before

	f.apply(s.content)
	f.expect(p, "/users", alice, answer{status: 200, body: s.backends[0].greeting})
}

// A data plane that lacks a middleware says which one, beside one that serves.
func TestMissingMiddlewareIsNamed(t *testing.T) {
	t.Parallel()
	s := readSample(t, "demo/middleware/gateway.yaml")
	f := newFleet(t)
	f.write(s.content)
	f.startControl()
	own := f.startOwn("own")
	stock := &plane{name: "stock", public: freeAddress(t), admin: freeAddress(t), log: new(logged), ended: make(chan struct{})}
	f.run(stock, func(ctx context.Context) error {
		return proxy.Run(ctx, proxy.Options{
			ControlPlanes: []string{f.grpc}, Listen: stock.public, Admin: stock.admin, ID: stock.name, Cache: "off", Version: "test",
		})
	})
	f.awaitRejected("stock", `service "users": middleware "served_for": this data plane does not have it`)
	f.await("stock to listen", func() bool {
		got, err := f.try(stock.public, "/users", "abc-123")
		return err == nil && got.status == http.StatusServiceUnavailable && got.body != "Back at noon\n"
	})
	f.expect(own, "/users", "abc-123", answer{status: 200, body: s.backends[0].greeting})
}
