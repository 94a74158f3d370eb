package configs

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// A key is served, and refused again, on every data plane once that is proven. No secret gets anywhere but to those who make and use it.
func TestKeysAreProvenOnEveryDataPlane(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.level = slog.LevelDebug
	backend := newBackend(t, "backend-1")
	f.write(configuration(service("users", "auth_apikey, rate_limit, circuit_breaker, metrics", unlimited, backend)))
	f.startControl()
	planes := []*plane{f.startData("a"), f.startData("b")}
	f.awaitServing()

	var secrets []string
	for _, name := range []string{"alice", "bob", "carol"} {
		secret, revision := f.addKey(name)
		secrets = append(secrets, secret)
		f.expectProof(f.prove(revision, false, patience), "a", "b")
		for _, p := range planes {
			f.expect(p, "/users", secret, answer{status: http.StatusOK})
		}
	}
	f.expectProof(f.prove(f.revokeKey("alice"), true, patience), "a", "b")
	for _, p := range planes {
		f.expect(p, "/users", secrets[0], answer{status: http.StatusUnauthorized, body: "Authentication Failed\n"})
		f.expect(p, "/users", secrets[1], answer{status: http.StatusOK})
		f.expect(p, "/users", fileKey, answer{status: http.StatusOK})
	}
	secrets = append(secrets, fileKey)
	f.expectNowhere(secrets) // as a crash would leave it
	for _, p := range f.started {
		f.end(p)
	}
	f.expectNowhere(secrets)
}

// expectProof checks that a change is proven on just these data planes, with the time that each took.
func (f *fleet) expectProof(got *gatewayv1.WatchRolloutResponse, ids ...string) {
	f.t.Helper()
	applied := map[string]*gatewayv1.AppliedBy{}
	for _, a := range got.GetRollout().GetApplied() {
		applied[a.GetDataplane()] = a
	}
	if !got.GetProven() || len(applied) != len(ids) {
		f.t.Fatalf("rollout = %v, want proof on %q", got, ids)
	}
	for _, id := range ids {
		if a := applied[id]; a.GetAfterMs() <= 0 || a.GetNotDurable() {
			f.t.Errorf("%s: applied = %v, want durable and after some time", id, a)
		}
	}
}

// expectNowhere looks for secrets in the store, the caches and what the planes logged. The configuration file alone may hold its own.
func (f *fleet) expectNowhere(secrets []string) {
	f.t.Helper()
	files := 0
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == f.config || d.Type() == fs.ModeSocket {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			files++
			f.expectWithout(path, content, secrets)
		}
		return err
	})
	if err != nil || files < 3 {
		f.t.Fatalf("read %d files, %v, want a store and two caches", files, err)
	}
	for _, p := range f.started {
		if p.log.String() == "" {
			f.t.Errorf("%s logged nothing", p.name)
		}
		f.expectWithout("log of "+p.name, []byte(p.log.String()), secrets)
	}
}

func (f *fleet) expectWithout(where string, content []byte, secrets []string) {
	f.t.Helper()
	for _, s := range secrets {
		if bytes.Contains(content, []byte(s)) || bytes.Contains(content, []byte(s[len(s)-16:])) {
			f.t.Errorf("%s: holds the secret %s", where, s)
		}
	}
}
