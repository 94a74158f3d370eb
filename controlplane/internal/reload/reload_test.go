package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt/bolttest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const path = "/etc/gateway.yaml"

// failing is a store that refuses changes while err is set. Only the test and the Commit that it waits for touch it.
type failing struct {
	store.Store
	err error
}

func (f *failing) Apply(ctx context.Context, ifRevision uint64, records []store.Record) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Apply(ctx, ifRevision, records)
}

// bench is a file over a real store.
type bench struct {
	*File
	t         *testing.T
	store     *failing
	publisher *publish.Publisher
	keys      *keystore.Keystore
	log       strings.Builder
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, store: &failing{Store: bolttest.Open(t)}}
	var err error
	if b.publisher, err = publish.New(t.Context(), b.store, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.publisher.Close)
	b.File = New(path, b.publisher, slog.New(slog.NewTextHandler(&b.log, nil)))
	b.keys = keystore.New(b.publisher, b.store, keystore.Options{FileKeys: b.File})
	return b
}

// file makes content with services and keys, each key as YAML.
func file(services []string, keys ...string) string {
	var b strings.Builder
	b.WriteString("services:\n")
	for _, s := range services {
		fmt.Fprintf(&b, "  - {name: %s, route_pattern: /%s, urls: [\"http://localhost:8081\"], middleware: [auth_apikey]}\n", s, s)
	}
	if len(keys) == 0 {
		return b.String()
	}
	b.WriteString("middleware_config:\n  auth_apikey:\n    valid_keys:\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "      - %s\n", k)
	}
	return b.String()
}

func (b *bench) load(content string) {
	b.t.Helper()
	if err := b.Load(b.t.Context(), []byte(content)); err != nil {
		b.t.Fatal(err)
	}
}

// refuses loads content that is wrong and returns what is wrong, a line each.
func (b *bench) refuses(content string) string {
	b.t.Helper()
	err := b.Load(b.t.Context(), []byte(content))
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		b.t.Fatalf("Load() = %v, want mistakes", err)
	}
	return mistakes.Error()
}

// revisions are those of both parts.
func (b *bench) revisions() [2]uint64 {
	s := b.publisher.State()
	return [2]uint64{s.Keys.Revision, s.Config.Revision}
}

// names returns the ids of a part.
func (b *bench) names(part gatewayv1.Part) []string {
	b.t.Helper()
	ids := map[string]bool{}
	err := b.publisher.View(b.t.Context(), func(r store.Reader) error {
		for id := range first(r.Entries(part, store.ID{})) {
			ids[id.ID] = true
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(ids))
}

func first[K, V any](seq iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		seq(func(k K, _ V) bool { return yield(k) })
	}
}

func (b *bench) addKey(name, secret string) {
	b.t.Helper()
	if _, err := b.keys.Add(b.t.Context(), keystore.AddRequest{Name: name, Hash: sha256.Sum256([]byte(secret))}); err != nil {
		b.t.Fatal(err)
	}
}

const (
	alice = "{name: alice, key: alices}"
	bob   = "{name: bob, key: bobs}"
)

// Only what changed is published: keys first, each part with a revision of its own.
func TestLoadPublishesTheDifference(t *testing.T) {
	b := newBench(t)
	for _, step := range []struct {
		name      string
		content   string
		revisions [2]uint64 // keys, config
		config    []string
		keys      []string
	}{
		{"the first", file([]string{"users"}, alice), [2]uint64{1, 2}, []string{"", "users"}, []string{"alice"}},
		{"the same", file([]string{"users"}, alice), [2]uint64{1, 2}, []string{"", "users"}, []string{"alice"}},
		{"a comment", "# hello\n" + file([]string{"users"}, alice), [2]uint64{1, 2}, []string{"", "users"}, []string{"alice"}},
		{"a default written out", "port: \":8080\"\n" + file([]string{"users"}, alice), [2]uint64{1, 2}, []string{"", "users"}, []string{"alice"}},
		{"a service more", file([]string{"users", "orders"}, alice), [2]uint64{1, 3}, []string{"", "orders", "users"}, []string{"alice"}},
		{"the other order", file([]string{"orders", "users"}, alice), [2]uint64{1, 3}, []string{"", "orders", "users"}, []string{"alice"}},
		{"a key more", file([]string{"users", "orders"}, alice, bob), [2]uint64{4, 3}, []string{"", "orders", "users"}, []string{"alice", "bob"}},
		{"another port", "port: \":9090\"\n" + file([]string{"users", "orders"}, alice, bob), [2]uint64{4, 5}, []string{"", "orders", "users"}, []string{"alice", "bob"}},
		{"both parts, taken away", file([]string{"users"}, bob), [2]uint64{6, 7}, []string{"", "users"}, []string{"bob"}},
		{"a key under another name", file([]string{"users"}, "{name: robert, key: bobs}"), [2]uint64{8, 7}, []string{"", "users"}, []string{"robert"}},
		{"two keys that change names", file([]string{"users"}, "{name: x, key: y}", "{name: y, key: x}"), [2]uint64{9, 7}, []string{"", "users"}, []string{"x", "y"}},
		{"and back", file([]string{"users"}, "{name: x, key: x}", "{name: y, key: y}"), [2]uint64{10, 7}, []string{"", "users"}, []string{"x", "y"}},
	} {
		b.t.Log(step.name)
		b.load(step.content)
		if got := b.revisions(); got != step.revisions {
			t.Errorf("%s: revisions of keys and config = %v, want %v", step.name, got, step.revisions)
		}
		if got := b.names(gatewayv1.Part_PART_CONFIG); !cmp.Equal(got, step.config) {
			t.Errorf("%s: config entries = %q, want %q", step.name, got, step.config)
		}
		if got := b.names(gatewayv1.Part_PART_KEYS); !cmp.Equal(got, step.keys) {
			t.Errorf("%s: keys = %q, want %q", step.name, got, step.keys)
		}
	}
}

// Keys of the store are not the file's to change.
func TestLoadLeavesKeysOfTheStore(t *testing.T) {
	b := newBench(t)
	b.addKey("carol", "carols")
	b.load(file([]string{"users"}, alice))
	b.load(file([]string{"users"}, bob))
	if got, want := b.names(gatewayv1.Part_PART_KEYS), []string{"bob", "carol"}; !cmp.Equal(got, want) {
		t.Errorf("keys = %q, want %q", got, want)
	}
}

func TestKeysInBothPlaces(t *testing.T) {
	b := newBench(t)
	b.load(file([]string{"users"}))
	b.addKey("carol", "carols")
	before := b.revisions()
	const place = path + ":6:9: middleware_config.auth_apikey.valid_keys[0]: "
	for _, test := range []struct{ name, key, want string }{
		{"by name", "{name: carol, key: another}", place + `key "carol" is in the store too (want it in one place: gatewayctl keys revoke carol)`},
		{"by secret", "{name: dave, key: carols}", place + `key "dave" has the same secret as key "carol" of the store (want it in one place: gatewayctl keys revoke carol)`},
		{"by both", "{name: carol, key: carols}", place + `key "carol" is in the store too (want it in one place: gatewayctl keys revoke carol)`},
	} {
		if got := b.refuses(file([]string{"users"}, test.key)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if got := b.revisions(); got != before {
			t.Errorf("%s: revisions = %v, want %v", test.name, got, before)
		}
	}
	if _, err := b.keys.Revoke(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	b.load(file([]string{"users"}, "{name: carol, key: carols}"))
	if file, line, ok := b.Line("carol"); !ok || file != path || line != 6 {
		t.Errorf("Line(carol) = %s:%d, %v", file, line, ok)
	}
}

func TestBadContentKeepsTheOld(t *testing.T) {
	b := newBench(t)
	if s := b.Status(); s.GetAppliedAtMs() != 0 || s.GetRevision() != 0 {
		t.Errorf("Status() before the first content = %v", s)
	}
	b.load(file([]string{"users"}, alice))
	was := b.revisions()
	good := b.Status()
	want := path + ":1:1: prot: unknown field, did you mean port?\n" + path + ":2:11: services: wrong type, got a number (want a list)"
	if got := b.refuses("prot: 1\nservices: 3\n"); got != want {
		t.Errorf("mistakes = %q, want %q", got, want)
	}
	if got := b.revisions(); got != was || !b.HasService("users") || b.HasService("orders") {
		t.Errorf("revisions = %v, want %v and the old services", got, was)
	}
	got := b.Status()
	if got.GetErrorAtMs() == 0 || got.GetAppliedAtMs() != good.GetAppliedAtMs() {
		t.Errorf("Status() = %v, want the moment of the error and of the content before", got)
	}
	mistakes := []*gatewayv1.ConfigMistake{
		{File: path, Line: 1, Column: 1, Path: "prot", Message: "unknown field, did you mean port?"},
		{File: path, Line: 2, Column: 11, Path: "services", Message: "wrong type, got a number (want a list)"},
	}
	if diff := cmp.Diff(mistakes, got.GetMistakes(), protocmp.Transform()); diff != "" {
		t.Errorf("mistakes differ (-want +got):\n%s", diff)
	}
	b.refuses("")
	b.status.appliedAt = b.status.appliedAt.Add(-time.Hour) // so that a new moment would show
	if got := b.Failures(); got != 2 {
		t.Errorf("Failures() = %d, want 2", got)
	}
	b.load(file([]string{"users"}, alice))
	hourAgo := good.GetAppliedAtMs() - time.Hour.Milliseconds()
	if got := b.Status(); got.GetErrorAtMs() != 0 || len(got.GetMistakes()) != 0 || got.GetRevision() != was[1] || got.GetAppliedAtMs() != hourAgo {
		t.Errorf("Status() after the old content came back = %v, want no error, applied at %d", got, hourAgo)
	}
	b.load(file([]string{"users", "orders"}, alice))
	if got := b.Status().GetAppliedAtMs(); got <= hourAgo {
		t.Errorf("applied at %d after other content, want it later", got)
	}
	if strings.Contains(b.log.String(), "alices") {
		t.Error("a secret is in the log")
	}
}

// A file that cannot be read is shown and counted until it can be again; what was wrong with its content before is not forgotten.
func TestUnreadable(t *testing.T) {
	b := newBench(t)
	b.load(file([]string{"users"}))
	b.refuses("prot: 1")
	refused := b.Status()
	b.Unreadable(errors.New("open gateway.yaml: permission denied"))
	got := b.Status()
	want := []*gatewayv1.ConfigMistake{{File: path, Message: "cannot be read: open gateway.yaml: permission denied"}}
	if diff := cmp.Diff(want, got.GetMistakes(), protocmp.Transform()); diff != "" || got.GetErrorAtMs() == 0 || b.Failures() != 2 {
		t.Errorf("Status() = %v, Failures() = %d, want that it cannot be read (-want +got):\n%s", got, b.Failures(), diff)
	}
	b.Unreadable(nil)
	if diff := cmp.Diff(refused, b.Status(), protocmp.Transform()); diff != "" {
		t.Errorf("Status() once it can be read (-want +got):\n%s", diff)
	}
}

// A store that fails is no mistake of the content: the same content is taken up later.
func TestStoreFails(t *testing.T) {
	b := newBench(t)
	b.load(file([]string{"users"}))
	b.store.err = fmt.Errorf("%w: no space", store.ErrFull)
	err := b.Load(t.Context(), []byte(file([]string{"orders"})))
	var mistakes config.Mistakes
	if !errors.Is(err, store.ErrFull) || errors.As(err, &mistakes) {
		t.Fatalf("Load() = %v, want %v", err, store.ErrFull)
	}
	if got := b.Status(); got.GetErrorAtMs() == 0 || len(got.GetMistakes()) != 1 || !strings.Contains(got.GetMistakes()[0].GetMessage(), "no space") {
		t.Errorf("Status() = %v, want what is wrong with the store", got)
	}
	if b.Failures() != 0 || !b.HasService("users") {
		t.Errorf("Failures() = %d, want none and the old services", b.Failures())
	}
	b.store.err = nil
	b.load(file([]string{"orders"}))
	if !b.HasService("orders") || b.HasService("users") || b.Status().GetErrorAtMs() != 0 {
		t.Error("the content is not in force after the store recovered")
	}
}

// Content that no store would take is wrong for good.
func TestContentOverALimit(t *testing.T) {
	b := newBench(t)
	b.store.err = fmt.Errorf("%w: entry too large", publish.ErrInvalid)
	if got := b.refuses(file([]string{"users"})); !strings.HasPrefix(got, path+": ") || !strings.Contains(got, "too large") {
		t.Errorf("mistakes = %q", got)
	}
	if b.Failures() != 1 {
		t.Errorf("Failures() = %d, want 1", b.Failures())
	}
}

func TestValidateChangesNothing(t *testing.T) {
	b := newBench(t)
	b.load(file([]string{"users"}, alice))
	b.addKey("carol", "carols")
	was, status := b.revisions(), b.Status()
	for name, content := range map[string]string{
		"good": file([]string{"orders"}, bob), "bad": "port: 1", "conflict": file([]string{"users"}, "{name: carol, key: x}"),
	} {
		got, err := b.Validate(t.Context(), "new.yaml", []byte(content))
		if err != nil || (len(got.GetMistakes()) == 0) != (name == "good") {
			t.Errorf("Validate(%s) = %v, %v", name, got, err)
		}
	}
	got, err := b.Validate(t.Context(), "new.yaml", []byte("services: [{name: users, route_pattern: /users, urls: [\"http://a\"]}]"))
	if err != nil || len(got.GetWarnings()) != 1 {
		t.Errorf("Validate() of a service that is open to the world = %v, %v, want a warning", got, err)
	}
	if b.revisions() != was || b.Failures() != 0 || !cmp.Equal(b.Status(), status, protocmp.Transform()) {
		t.Error("a check changed something")
	}
}
