package storetest

import (
	"errors"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func (c suite) testSince() {
	t, open := c.t, c.open
	s, h := opened(t, open), &History{}
	records := []store.Record{
		h.Put(t, Service("a"), []byte("1")),
		h.Put(t, KeyNamed("k"), Key(t, fromStore, "x")),
		h.Remove(t, Service("a")),
		h.Put(t, Service("large"), []byte("kept as an entry, not as a record")),
	}
	records[3].Encoded = nil
	apply(t, s, records...)
	records[3].Record = &gatewayv1.Record{
		Revision: 4, Part: gatewayv1.Part_PART_CONFIG, DigestAfter: records[3].GetDigestAfter(),
	}
	for since := range uint64(6) {
		got, err := s.Since(t.Context(), since)
		if err != nil {
			t.Fatalf("Since(%d) = %v", since, err)
		}
		want := records[min(int(since), len(records)):]
		if len(got) != len(want) {
			t.Fatalf("Since(%d) = %d records, want %d", since, len(got), len(want))
		}
		for i := range got {
			if d := cmp.Diff(want[i], got[i], protocmp.Transform()); d != "" {
				t.Errorf("Since(%d)[%d] (-want +got):\n%s", since, i, d)
			}
		}
	}
}

func (c suite) testTrim() {
	t, open := c.t, c.open
	s, h := open(), &History{}
	var sizes []int
	for i := range 40 {
		r := h.Put(t, Service("a"), fmt.Appendf(nil, "%d %0600000d", i, 0))
		sizes = append(sizes, len(r.Encoded))
		apply(t, s, r)
	}
	want, kept := len(sizes), 0
	for kept < store.LogBytes {
		want--
		kept += sizes[want]
	}
	check := func(s store.Store) {
		t.Helper()
		floor := stateOf(t, s).Floor
		if floor != uint64(want) {
			t.Errorf("floor = %d, want %d", floor, want)
		}
		if _, err := s.Since(t.Context(), floor-1); !errors.Is(err, store.ErrCompacted) {
			t.Errorf("Since(floor-1) = %v, want ErrCompacted", err)
		}
		if got, err := s.Since(t.Context(), floor); err != nil || len(got) != len(sizes)-want {
			t.Errorf("Since(floor) = %d records, %v, want %d", len(got), err, len(sizes)-want)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(opened(t, open))
}

func (c suite) testView() {
	t, open := c.t, c.open
	s, h := opened(t, open), &History{}
	apply(t, s, h.Put(t, Service("a"), []byte("1")))
	next := h.Put(t, Service("a"), []byte("2"))
	applied := make(chan error)
	view(t, s, func(r store.Reader) {
		go func() { applied <- s.Apply(t.Context(), 1, []store.Record{next}) }()
		if err := <-applied; err != nil {
			t.Errorf("Apply during a view = %v", err)
		}
		if v, _ := r.Get(gatewayv1.Kind_KIND_SERVICE, "a"); string(v) != "1" || r.State().Revision != 1 {
			t.Errorf("a view begun before sees %q at revision %d, want 1 at 1", v, r.State().Revision)
		}
	})
	diff(t, "entries", entries(t, s, gatewayv1.Part_PART_CONFIG, store.ID{}), []string{"KIND_SERVICE/a/2"})
	want := errors.New("of fn")
	if err := s.View(t.Context(), func(store.Reader) error { return want }); !errors.Is(err, want) {
		t.Errorf("View() = %v, want the error of fn", err)
	}
}

func (c suite) testNotes() {
	t, open := c.t, c.open
	s := opened(t, open)
	diff(t, "notes of an unknown table", notes(t, s), []string(nil))
	note(t, s, store.Note{Table: "t", Key: "b", Value: []byte("1")}, store.Note{Table: "t", Key: "a", Value: []byte("1")},
		store.Note{Table: "u", Key: "a", Value: []byte("u")})
	note(t, s, store.Note{Table: "t", Key: "b", Value: []byte("2")}, store.Note{Table: "t", Key: "gone"})
	diff(t, "notes", notes(t, s), []string{"a=1", "b=2"})
	if err := s.Note(t.Context(), store.Note{Table: "t", Key: "c", Value: []byte("3")}, store.Note{Table: "t"}); err == nil {
		t.Error("Note without a key = nil, want an error")
	}
	note(t, s, store.Note{Table: "t", Key: "a"})
	diff(t, "notes after a removal", notes(t, s), []string{"b=2"})
	view(t, s, func(r store.Reader) {
		if v, ok := r.Note("t", "b"); !ok || string(v) != "2" {
			t.Errorf("Note(b) = %q, %v, want 2", v, ok)
		}
		if v, ok := r.Note("t", "a"); ok {
			t.Errorf("Note(a) = %q, want none", v)
		}
	})
	var many []store.Note
	for i := range 2500 {
		many = append(many, store.Note{Table: "many", Key: fmt.Sprintf("%04d", i), Value: []byte{}})
	}
	note(t, s, many...)
	n := 0
	for got, err := range s.Notes(t.Context(), "many") {
		if err != nil || got.Key != many[n].Key {
			t.Fatalf("note %d = %q, %v, want %q", n, got.Key, err, many[n].Key)
		}
		if n++; n%100 == 0 {
			note(t, s, store.Note{Table: "many", Key: got.Key}) // the loop may write
		}
	}
	if n != len(many) {
		t.Errorf("Notes() = %d, want %d", n, len(many))
	}
}
