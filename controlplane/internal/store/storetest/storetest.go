// Package storetest is the test suite that every store must pass, and makes the records that tests feed to one.
package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	fromStore = gatewayv1.KeySource_KEY_SOURCE_STORE
	fromFile  = gatewayv1.KeySource_KEY_SOURCE_FILE
)

// Run tests stores. newPlace makes an empty place to keep one and returns what opens the store in it; the suite closes each
// store before it opens the next in the same place.
func Run(t *testing.T, newPlace func(t *testing.T) (open func() store.Store)) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(suite)
	}{
		{"empty store", suite.testEmpty},
		{"entries", suite.testEntries},
		{"terms", suite.testTerms},
		{"refused records", suite.testRefused},
		{"records since", suite.testSince},
		{"log is trimmed", suite.testTrim},
		{"reopened", suite.testReopen},
		{"new epoch", suite.testEpoch},
		{"view is one moment", suite.testView},
		{"notes", suite.testNotes},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(suite{t, newPlace(t)}) })
	}
}

// suite is one test of one store.
type suite struct {
	t    *testing.T
	open func() store.Store
}

func (c suite) testEmpty() {
	t, open := c.t, c.open
	s := opened(t, open)
	state, err := s.State(t.Context())
	if err != nil || state.Epoch == "" {
		t.Fatalf("State() = %+v, %v, want an epoch", state, err)
	}
	state.Epoch = ""
	diff(t, "State()", state, store.State{})
	records, err := s.Since(t.Context(), 0)
	if err != nil || len(records) != 0 {
		t.Errorf("Since(0) = %v, %v, want none", records, err)
	}
}

func (c suite) testEntries() {
	t, open := c.t, c.open
	s, h := opened(t, open), &History{}
	apply(t, s,
		h.Put(t, Service("b"), []byte("b1")),
		h.Put(t, KeyNamed("k"), Key(t, fromStore, "x")),
		h.Put(t, Setting(), []byte{}),
		h.Put(t, Service("a"), []byte("a1")),
		h.Put(t, Service("c"), []byte("c1")),
	)
	apply(t, s, h.Put(t, Service("b"), nil), h.Put(t, Service("b"), []byte("b2")), h.Remove(t, Service("c")))
	want := []string{"KIND_SETTINGS//", "KIND_SERVICE/a/a1", "KIND_SERVICE/b/b2"}
	diff(t, "config entries", entries(t, s, gatewayv1.Part_PART_CONFIG, store.ID{}), want)
	diff(t, "config entries after a", entries(t, s, gatewayv1.Part_PART_CONFIG, Service("a")), want[2:])
	diff(t, "config entries after aa", entries(t, s, gatewayv1.Part_PART_CONFIG, Service("aa")), want[2:])
	diff(t, "config entries after the last", entries(t, s, gatewayv1.Part_PART_CONFIG, Service("b")), []string(nil))
	if got := entries(t, s, gatewayv1.Part_PART_KEYS, store.ID{}); len(got) != 1 {
		t.Errorf("key entries = %v, want one", got)
	}
	view(t, s, func(r store.Reader) {
		if v, ok := r.Get(gatewayv1.Kind_KIND_SETTINGS, ""); !ok || len(v) != 0 {
			t.Errorf("Get(settings) = %q, %v, want an empty value", v, ok)
		}
		if v, ok := r.Get(gatewayv1.Kind_KIND_SERVICE, "c"); ok {
			t.Errorf("Get of a removed service = %q, want none", v)
		}
	})
	state := stateOf(t, s)
	diff(t, "state", state, store.State{
		Epoch: state.Epoch, Revision: 8,
		Config: store.Part{Revision: 8, Digest: h.digests[gatewayv1.Part_PART_CONFIG], Count: 3},
		Keys:   store.Part{Revision: 2, Digest: h.digests[gatewayv1.Part_PART_KEYS], Count: 1},
	})
}

func (c suite) testTerms() {
	t, open := c.t, c.open
	s, h := opened(t, open), &History{}
	apply(t, s,
		h.Put(t, KeyNamed("a"), Key(t, fromStore, "a1", "a2")),
		h.Put(t, KeyNamed("b"), Key(t, fromFile, "b1")),
		h.Put(t, KeyNamed("c"), Key(t, fromFile, "c1")),
		h.Put(t, KeyNamed("a"), Key(t, fromStore, "a2", "a3")),
		h.Remove(t, KeyNamed("c")),
	)
	for _, test := range []struct {
		term store.Term
		want []string
	}{
		{store.ByHash(Hash("a1")), nil},
		{store.ByHash(Hash("a2")), []string{"a"}},
		{store.ByHash(Hash("a3")), []string{"a"}},
		{store.ByHash(Hash("c1")), nil},
		{store.BySecretID("id-b1"), []string{"b"}},
		{store.BySecretID("id-b"), nil},
		{store.BySecretID("id-a1"), nil},
		{store.FromFile, []string{"b"}},
	} {
		view(t, s, func(r store.Reader) {
			diff(t, fmt.Sprintf("Names(%q)", test.term), slices.Collect(r.Names(test.term)), test.want)
		})
	}
}

func (c suite) testRefused() {
	t, open := c.t, c.open
	s, h := opened(t, open), &History{}
	apply(t, s, h.Put(t, Service("a"), []byte("1")), h.Put(t, Service("b"), []byte("1")))
	before := stateOf(t, s)
	wrongDigest := h.Clone().Put(t, Service("c"), []byte("1"))
	wrongDigest.DigestAfter = make([]byte, 32)
	old := h.Clone().Put(t, Service("c"), []byte("1"))
	old.Revision = 2
	otherPart := h.Clone().record(t, &gatewayv1.Record{
		Part: gatewayv1.Part_PART_CONFIG,
		Puts: []*gatewayv1.Entry{{Kind: gatewayv1.Kind_KIND_KEY, Id: "k", Value: Key(t, fromStore, "x")}},
	})
	for _, test := range []struct {
		name       string
		ifRevision uint64
		record     store.Record
		want       error
	}{
		{"head moved", 1, h.Clone().Put(t, Service("c"), []byte("1")), store.ErrConflict},
		{"wrong digest", 2, wrongDigest, store.ErrInvalid},
		{"revision of the past", 2, old, store.ErrInvalid},
		{"entry of the other part", 2, otherPart, store.ErrInvalid},
		{"not a key", 2, h.Clone().Put(t, KeyNamed("k"), []byte("\xff")), store.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := s.Apply(t.Context(), test.ifRevision, []store.Record{test.record}); !errors.Is(err, test.want) {
				t.Errorf("Apply() = %v, want %v", err, test.want)
			}
			first := h.Clone().Put(t, Service("d"), []byte("1"))
			if err := s.Apply(t.Context(), test.ifRevision, []store.Record{first, test.record}); err == nil {
				t.Error("Apply() of a good record and that one = nil, want an error")
			}
			diff(t, "state", stateOf(t, s), before)
			diff(t, "entries", entries(t, s, gatewayv1.Part_PART_CONFIG, store.ID{}), []string{"KIND_SERVICE/a/1", "KIND_SERVICE/b/1"})
		})
	}
}

func (c suite) testReopen() {
	t, open := c.t, c.open
	s, h := open(), &History{}
	apply(t, s, h.Put(t, Service("a"), []byte("1")), h.Put(t, KeyNamed("k"), Key(t, fromStore, "x")))
	note(t, s, store.Note{Table: "t", Key: "k", Value: []byte("v")})
	before := stateOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	s = opened(t, open)
	diff(t, "state", stateOf(t, s), before)
	diff(t, "notes", notes(t, s), []string{"k=v"})
	view(t, s, func(r store.Reader) {
		diff(t, "keys by hash", slices.Collect(r.Names(store.ByHash(Hash("x")))), []string{"k"})
	})
	apply(t, s, h.Put(t, Service("a"), []byte("2")))
}

func (c suite) testEpoch() {
	t, open := c.t, c.open
	s, h := open(), &History{}
	apply(t, s, h.Put(t, Service("a"), []byte("1")))
	before := stateOf(t, s)
	lineage := []store.Ancestor{{Epoch: before.Epoch, Revision: 1}, {Epoch: "other", Revision: 40}}
	if _, err := s.BeginEpoch(t.Context(), 0, lineage, 40); !errors.Is(err, store.ErrConflict) {
		t.Errorf("BeginEpoch of another head = %v, want ErrConflict", err)
	}
	after, err := s.BeginEpoch(t.Context(), 1, lineage, 40)
	if err != nil || after.Epoch == before.Epoch || after.Epoch == "" {
		t.Fatalf("BeginEpoch() = %+v, %v, want another epoch than %s", after, err, before.Epoch)
	}
	want := before
	want.Epoch, want.Lineage, want.Revision = after.Epoch, lineage, 40
	diff(t, "state", after, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, open)
	diff(t, "state reopened", stateOf(t, s), want)
	h.revision = 40
	apply(t, s, h.Put(t, Service("a"), []byte("2")))
	if again, err := s.BeginEpoch(t.Context(), 41, nil, 7); err != nil || again.Revision != 41 || again.Lineage != nil {
		t.Errorf("BeginEpoch(nil, 7) = %+v, %v, want revision 41 and no lineage", again, err)
	}
}
