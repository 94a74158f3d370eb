package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func opened(t *testing.T, open func() store.Store) store.Store {
	t.Helper()
	s := open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

func apply(t *testing.T, s store.Store, records ...store.Record) {
	t.Helper()
	if err := s.Apply(t.Context(), stateOf(t, s).Revision, records); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
}

func stateOf(t *testing.T, s store.Store) store.State {
	t.Helper()
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatalf("State() = %v", err)
	}
	return state
}

func view(t *testing.T, s store.Store, fn func(store.Reader)) {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error {
		fn(r)
		return nil
	})
	if err != nil {
		t.Fatalf("View() = %v", err)
	}
}

func entries(t *testing.T, s store.Store, part gatewayv1.Part, after store.ID) (got []string) {
	t.Helper()
	view(t, s, func(r store.Reader) {
		for id, value := range r.Entries(part, after) {
			got = append(got, fmt.Sprintf("%v/%s/%s", id.Kind, id.ID, value))
		}
	})
	return got
}

func note(t *testing.T, s store.Store, n ...store.Note) {
	t.Helper()
	if err := s.Note(t.Context(), n...); err != nil {
		t.Fatalf("Note() = %v", err)
	}
}

// notes returns those of table "t".
func notes(t *testing.T, s store.Store) (got []string) {
	t.Helper()
	for n, err := range s.Notes(t.Context(), "t") {
		if err != nil {
			t.Fatalf("Notes() = %v", err)
		}
		got = append(got, n.Key+"="+string(n.Value))
	}
	return got
}

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(gatewayv1.Digest{})); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
