package configs

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// badness is how long the network is bad.
func badness() time.Duration {
	if long {
		return time.Minute
	}
	return 4 * time.Second
}

// Keys and configuration change while every stream is delayed, cut and reset again and again. No request notices, nothing counts as served
// that is not, and once the network is good all data planes have all of it.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	backend := newBackend(t, "backend-1")
	users := service("users", guarded, unlimited, backend)
	f.write(configuration(users))
	f.startControl()
	n := newNetwork(t, f.grpc)
	through := func(o *proxy.Options) { o.ControlPlanes = []string{n.address} }
	planes := []*plane{f.startData("a", through), f.startData("b", through)}
	f.awaitServing()
	loads := []*load{startLoad(t, 2, planes[0], "/users", fileKey), startLoad(t, 2, planes[1], "/users", fileKey)}

	n.bad.Store(true)
	k := &keyring{f: f, planes: planes, valid: map[string]string{}, revoked: map[string]string{}}
	last, proofs := "", 0
	for began := time.Now(); time.Since(began) < badness(); {
		last = fmt.Sprintf("extra-%d", k.count)
		f.write(configuration(users, service(last, guarded, unlimited, backend)))
		f.reload <- struct{}{}
		proofs += k.add() + k.add() + k.revoke()
	}
	n.bad.Store(false)
	t.Logf("%d keys, %d proofs, %d connections ended", k.count, proofs, n.faults.Load())
	if n.faults.Load() < 3 {
		t.Errorf("the network ended %d connections, want some", n.faults.Load())
	}

	f.awaitBoth(gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	k.expect()
	for _, p := range planes {
		f.expect(p, "/"+last, fileKey, answer{status: http.StatusOK})
	}
	for _, l := range loads {
		endLoad(t, l)
	}
}

// keyring is the keys that a test made, by name.
type keyring struct {
	f              *fleet
	planes         []*plane
	valid, revoked map[string]string
	count          int
}

// moment is how long a proof is waited for while the network is bad.
const moment = 200 * time.Millisecond

// add makes a key and returns 1 if that was proven: then every data plane takes it.
func (k *keyring) add() int {
	k.f.t.Helper()
	name := fmt.Sprintf("key-%d", k.count)
	k.count++
	secret, revision := k.f.addKey(name)
	k.valid[name] = secret
	return k.check(secret, k.f.prove(revision, false, moment), http.StatusOK)
}

// revoke ends a key likewise.
func (k *keyring) revoke() int {
	k.f.t.Helper()
	for name, secret := range k.valid {
		delete(k.valid, name)
		k.revoked[name] = secret
		return k.check(secret, k.f.prove(k.f.revokeKey(name), true, moment), http.StatusUnauthorized)
	}
	return 0
}

// check asks every data plane that is said to serve a change.
func (k *keyring) check(secret string, standing *gatewayv1.WatchRolloutResponse, status int) int {
	k.f.t.Helper()
	for _, a := range standing.GetRollout().GetApplied() {
		for _, p := range k.planes {
			if p.name == a.GetDataplane() {
				k.f.expect(p, "/users", secret, answer{status: status})
			}
		}
	}
	if standing.GetProven() {
		return 1
	}
	return 0
}

// expect asks every data plane for every key.
func (k *keyring) expect() {
	k.f.t.Helper()
	for _, p := range k.planes {
		for _, secret := range k.valid {
			k.f.expect(p, "/users", secret, answer{status: http.StatusOK})
		}
		for _, secret := range k.revoked {
			k.f.expect(p, "/users", secret, answer{status: http.StatusUnauthorized})
		}
	}
}
