package keystore

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func TestAdd(t *testing.T) {
	f := setup(t)
	request := AddRequest{
		Name: "alice", Hash: hash("a"), SecretID: "id-a", ExpiresAt: start.Add(time.Hour), Services: []string{"users"},
	}
	got, err := f.Add(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	want := Key{
		Name: "alice", Only: true, Services: []string{"users"},
		Secrets: []Secret{{ID: "id-a", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}},
	}
	diff(t, "Add()", got.Key, want)
	if got.Revision != 3 || got.At.IsZero() {
		t.Errorf("Add() = revision %d at %v, want 3 and a moment", got.Revision, got.At)
	}
	f.now = f.now.Add(time.Minute)
	again, err := f.Add(t.Context(), request)
	if err != nil || again.Revision != 3 {
		t.Errorf("Add() again = revision %d, %v, want 3", again.Revision, err)
	}
	diff(t, "Add() again", again.Key, want)
	all, err := f.Add(t.Context(), AddRequest{Name: "bob", Hash: hash("b")})
	if err != nil || all.Key.Only || all.Key.ID() != "3e23e8160039" {
		t.Errorf("Add() without services and id = %+v, %v, want one for all with the id of its hash", all.Key, err)
	}
}

func TestAddRefuses(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	revision := f.p.State().Revision
	for _, test := range []struct {
		name    string
		request AddRequest
		is      error
		want    string
	}{
		{"bad name", AddRequest{Name: "a b", Hash: hash("x")}, ErrInvalid, `key: invalid: name: wrong character, got "a b" (want A-Z a-z 0-9 . _ -)`},
		{"bad id", AddRequest{Name: "x", Hash: hash("x"), SecretID: "a/b"}, ErrInvalid, `key "x": secret_id: invalid: name: wrong character, got "a/b" (want A-Z a-z 0-9 . _ -)`},
		{
			"past expiry",
			AddRequest{Name: "x", Hash: hash("x"), ExpiresAt: start},
			ErrInvalid, `key "x": expires_at: invalid, lies in the past, got 2026-11-23T12:00:00Z (want after 2026-11-23T12:00:00Z)`,
		},
		{
			"expiry beyond all calendars",
			AddRequest{Name: "x", Hash: hash("x"), ExpiresAt: time.UnixMilli(math.MaxInt64)},
			ErrInvalid, `key "x": expires_at: invalid, lies too far ahead, got year 292278994 (want before 3026-11-23T12:00:00Z)`,
		},
		{
			"unknown services",
			AddRequest{Name: "x", Hash: hash("x"), Services: []string{"usres", "users", "ordres"}},
			ErrInvalid, `key "x": services: invalid, not in the configuration: "usres", "ordres"`,
		},
		{"taken name", AddRequest{Name: "alice", Hash: hash("x")}, ErrExists, `key "alice": exists, declared in the store`},
		{"name of the file", AddRequest{Name: "filed", Hash: hash("x")}, ErrExists, `key "filed": exists, declared in gateway.yaml:12`},
		{"key of the file", AddRequest{Name: "filed", Hash: hash("of the file")}, ErrExists, `key "filed": exists, declared in gateway.yaml:12`},
		{"taken secret", AddRequest{Name: "x", Hash: hash("a")}, ErrExists, `key "x": secret exists, it is that of key "alice", declared in the store`},
		{"secret of the file", AddRequest{Name: "x", Hash: hash("of the file")}, ErrExists, `key "x": secret exists, it is that of key "filed", declared in gateway.yaml:12`},
		{
			"taken id",
			AddRequest{Name: "x", Hash: hash("x"), SecretID: "id-filed"},
			ErrExists, `key "x": secret id "id-filed" exists, it is that of a secret of key "filed", declared in gateway.yaml:12`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := f.Add(t.Context(), test.request)
			if !errors.Is(err, test.is) || err.Error() != test.want {
				t.Errorf("Add() = %v, want %s", err, test.want)
			}
		})
	}
	if got := f.p.State().Revision; got != revision {
		t.Errorf("refused requests led to revision %d, want %d", got, revision)
	}
}

// Only what asks for the very key that is there may be told that it is.
func TestAddAgain(t *testing.T) {
	f := setup(t)
	scoped := AddRequest{Name: "scoped", Hash: hash("s"), ExpiresAt: start.Add(time.Hour), Services: []string{"users"}}
	open := AddRequest{Name: "open", Hash: hash("o")}
	for _, r := range []AddRequest{scoped, open} {
		if _, err := f.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	with := func(r AddRequest, expires time.Duration, services ...string) AddRequest {
		r.ExpiresAt, r.Services = time.Time{}, services
		if expires != 0 {
			r.ExpiresAt = start.Add(expires)
		}
		return r
	}
	for _, test := range []struct {
		name    string
		after   time.Duration
		request AddRequest
		want    string
	}{
		{"the same", 0, scoped, ""},
		{"the same for all", 0, open, ""},
		{"seconds later", 5 * time.Second, with(scoped, time.Hour+5*time.Second, "users"), ""},
		{"a service twice", 0, with(scoped, time.Hour, "users", "users"), ""},
		{"no scope", 0, with(scoped, time.Hour), `key "scoped": exists with another scope, got all services (want services users)`},
		{"another scope", 0, with(scoped, time.Hour, "orders"), `key "scoped": exists with another scope, got services orders (want services users)`},
		{"a scope", 0, with(open, 0, "users"), `key "open": exists with another scope, got services users (want all services)`},
		{"ends later", 0, with(scoped, 2*time.Hour, "users"), `key "scoped": exists with another expiry, got 2026-11-23T14:00:00Z (want 2026-11-23T13:00:00Z)`},
		{"ends earlier", 0, with(scoped, time.Minute, "users"), `key "scoped": exists with another expiry, got 2026-11-23T12:01:00Z (want 2026-11-23T13:00:00Z)`},
		{"never ends", 0, with(scoped, 0, "users"), `key "scoped": exists with another expiry, got never (want 2026-11-23T13:00:00Z)`},
		{"ends", 0, with(open, time.Hour), `key "open": exists with another expiry, got 2026-11-23T13:00:00Z (want never)`},
		{"expired", time.Hour, with(scoped, 2*time.Hour, "users"), `key "scoped": exists, but this secret expired at 2026-11-23T13:00:00Z`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.now = start.Add(test.after)
			_, err := f.Add(t.Context(), test.request)
			if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrExists) || err.Error() != test.want) {
				t.Errorf("Add() = %v, want %q", err, test.want)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	f.rotateAlice(t, "b", time.Hour)
	one, err := f.Revoke(t.Context(), "id-a")
	if err != nil || one.Key.Name != "alice" {
		t.Fatalf("Revoke(id-a) = %+v, %v", one, err)
	}
	diff(t, "ended", one.SecretIDs, []string{"id-a"})
	diff(t, "left", secrets(one.Key), []string{"id-b"})
	f.wantAlice(t, "id-b")
	last, err := f.Revoke(t.Context(), "id-b")
	if err != nil || last.Revision != one.Revision+1 {
		t.Errorf("Revoke of the last = %+v, %v, want revision %d", last, err, one.Revision+1)
	}
	if _, err := f.Get(t.Context(), "alice"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a key without secrets = %v, want ErrNotFound", err)
	}
	f.add(t, "alice", "a") // the name and the secret are free again
	f.rotateAlice(t, "b", time.Hour)
	all, err := f.Revoke(t.Context(), "alice")
	if err != nil || all.Key.Name != "alice" {
		t.Fatalf("Revoke(alice) = %+v, %v", all, err)
	}
	diff(t, "ended", all.SecretIDs, []string{"id-a", "id-b"})
	if got := f.p.State().Keys.Count; got != 1 {
		t.Errorf("%d keys left, want that of the file", got)
	}
}

func TestRevokeRefuses(t *testing.T) {
	f := setup(t)
	if _, err := f.Revoke(t.Context(), "none"); !errors.Is(err, ErrNotFound) ||
		err.Error() != `key "none": not found (want the name of a key or the id of a secret)` {
		t.Errorf("Revoke(none) = %v, want ErrNotFound", err)
	}
	for _, nameOrID := range []string{"filed", "id-filed"} {
		_, err := f.Revoke(t.Context(), nameOrID)
		var file *FileKeyError
		if !errors.As(err, &file) || *file != (FileKeyError{"filed", "gateway.yaml", 12}) {
			t.Errorf("Revoke(%s) = %v, want FileKeyError of gateway.yaml:12", nameOrID, err)
		}
	}
	f.file = nil
	if _, err := f.Revoke(t.Context(), "filed"); err == nil || err.Error() != `key "filed": declared in the configuration file, change it there` {
		t.Errorf("Revoke without places = %v", err)
	}
}

func TestNameWinsOverID(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	f.add(t, "id-a", "b") // a name like the id of another's secret
	if _, err := f.Revoke(t.Context(), "id-a"); err != nil {
		t.Fatal(err)
	}
	f.wantAlice(t, "id-a")
	if k, err := f.Get(t.Context(), "id-a"); err != nil || k.Name != "alice" {
		t.Errorf("Get(id-a) = %+v, %v, want alice", k, err)
	}
}

func TestAmbiguousID(t *testing.T) {
	f := setup(t)
	for i := range 2 { // as the file may declare them
		err := f.putSecretID(t, fmt.Sprint("twin", i), "same")
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.Revoke(t.Context(), "same")
	if !errors.Is(err, ErrAmbiguous) || err.Error() != `key "same": ambiguous, it is the id of secrets of the keys twin0, twin1 (want one of these names)` {
		t.Errorf("Revoke(same) = %v, want ErrAmbiguous", err)
	}
}

func TestRotate(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	first := f.rotateAlice(t, "b", time.Hour)
	diff(t, "secrets", secrets(first.Key), []string{"id-a until 1h0m0s", "id-b"})
	f.now = f.now.Add(time.Minute)
	again := f.rotateAlice(t, "b", 5*time.Hour)
	diff(t, "secrets after a retry", secrets(again.Key), secrets(first.Key))
	_, err := f.Rotate(t.Context(), RotateRequest{Name: "alice", Hash: hash("c")})
	if want := `key "alice": two secrets are live, got a third (want one of them to end first: id-a ends 2026-11-23T13:00:00Z, id-b never ends)`; !errors.Is(err, ErrThirdSecret) || err.Error() != want {
		t.Errorf("Rotate to a third = %v, want %s", err, want)
	}
	f.now = start.Add(time.Hour) // the first has expired
	f.rotateAlice(t, "c", time.Hour)
	f.wantAlice(t, "id-b until 2h0m0s", "id-c")
	f.now = start.Add(3 * time.Hour)
	f.rotateAlice(t, "d", 0)
	f.wantAlice(t, "id-d")
}

func TestRotateKeepsAnEarlierEnd(t *testing.T) {
	f := setup(t)
	if _, err := f.Add(t.Context(), AddRequest{Name: "alice", Hash: hash("a"), SecretID: "id-a", ExpiresAt: start.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	f.rotateAlice(t, "b", time.Hour)
	f.wantAlice(t, "id-a until 1m0s", "id-b until 1m0s")
}

func TestRotateExpiry(t *testing.T) {
	later := start.Add(5 * time.Hour)
	for _, test := range []struct {
		name     string
		lifetime time.Duration // of the first secret; 0: none
		asked    *time.Time
		want     string
	}{
		{"lifetime of the first", 48 * time.Hour, nil, "id-b until 49h0m0s"},
		{"already expired", 30 * time.Minute, nil, "id-b until 1h30m0s"},
		{"no lifetime", 0, nil, "id-b"},
		{"as asked", 48 * time.Hour, &later, "id-b until 5h0m0s"},
		{"never", 48 * time.Hour, &time.Time{}, "id-b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := setup(t)
			first := AddRequest{Name: "alice", Hash: hash("a"), SecretID: "id-a"}
			if test.lifetime > 0 {
				first.ExpiresAt = start.Add(test.lifetime)
			}
			if _, err := f.Add(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			f.now = start.Add(time.Hour)
			got, err := f.Rotate(t.Context(), RotateRequest{Name: "alice", Hash: hash("b"), SecretID: "id-b", ExpiresAt: test.asked})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "secrets", secrets(got.Key), []string{test.want})
		})
	}
}

func TestRotateRefuses(t *testing.T) {
	f := setup(t)
	f.add(t, "alice", "a")
	f.add(t, "bob", "b")
	for _, test := range []struct {
		name    string
		request RotateRequest
		is      error
	}{
		{"no such key", RotateRequest{Name: "none", Hash: hash("x")}, ErrNotFound},
		{"overlap of the past", RotateRequest{Name: "alice", Hash: hash("x"), Overlap: -1}, ErrInvalid},
		{"bad id", RotateRequest{Name: "alice", Hash: hash("x"), SecretID: "a b"}, ErrInvalid},
		{"past expiry", RotateRequest{Name: "alice", Hash: hash("x"), ExpiresAt: &start}, ErrInvalid},
		{"expiry beyond all calendars", RotateRequest{Name: "alice", Hash: hash("x"), ExpiresAt: new(time.UnixMilli(math.MaxInt64))}, ErrInvalid},
		{"secret of another", RotateRequest{Name: "alice", Hash: hash("b")}, ErrExists},
		{"its own id", RotateRequest{Name: "alice", Hash: hash("x"), SecretID: "id-a"}, ErrExists},
	} {
		if _, err := f.Rotate(t.Context(), test.request); !errors.Is(err, test.is) {
			t.Errorf("%s: Rotate() = %v, want %v", test.name, err, test.is)
		}
	}
	var file *FileKeyError
	if _, err := f.Rotate(t.Context(), RotateRequest{Name: "filed", Hash: hash("x")}); !errors.As(err, &file) {
		t.Errorf("Rotate of a file key = %v, want FileKeyError", err)
	}
}

func TestList(t *testing.T) {
	f := setup(t)
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("k%02d", i)
		f.add(t, name, name)
		want = append(want, name)
	}
	want = append([]string{"filed"}, want...)
	var got []string
	for after := ""; ; {
		page, err := f.List(t.Context(), after, 10)
		if err != nil || len(page) > 10 {
			t.Fatalf("List() = %d keys, %v, want at most 10", len(page), err)
		}
		for _, k := range page {
			if k.FromFile != (k.Name == "filed") || len(k.Secrets) != 1 {
				t.Errorf("List() has %+v", k)
			}
			after = k.Name
			got = append(got, after)
		}
		if len(page) < 10 {
			break
		}
	}
	diff(t, "names", got, want)
	f.now = start.Add(1000 * time.Hour)
	if _, err := f.Add(t.Context(), AddRequest{Name: "short", Hash: hash("short"), ExpiresAt: f.now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(2 * time.Hour)
	page, err := f.List(t.Context(), "", 100)
	if err != nil || !slices.ContainsFunc(page, func(k Key) bool { return k.Name == "short" }) {
		t.Errorf("List() = %d keys, %v, want the expired one too", len(page), err)
	}
}
