package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A small fleet in full: every kind of change is proven by every data plane, and nothing is left.
func TestPropagation(t *testing.T) {
	opts := options{dataplanes: 2, services: 3, keyChanges: 2, configChanges: 2}
	rows, err := runPropagation(t.Context(), opts, t.TempDir(), func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	var changes []string
	for _, r := range rows {
		changes = append(changes, r.change)
		if len(r.all) != 2 || len(r.each) != 4 || r.down <= 0 || r.up <= 0 || r.cpu <= 0 {
			t.Errorf("%s: got %+v, want 2 changes on 2 data planes", r.change, r)
		}
	}
	if diff := cmp.Diff([]string{"`keys add`", "`keys revoke`", "one service of 3 changed in the file"}, changes); diff != "" {
		t.Errorf("rows (-want +got)\n%s", diff)
	}
}

// Whatever ends the start, it leaves nothing running (goleak looks).
func TestFleetThatDoesNotStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := startFleet(ctx, options{dataplanes: 1, services: 1}, t.TempDir()); err == nil {
		t.Error("startFleet = nil, want an error: its context has ended")
	}
	if _, err := startFleet(t.Context(), options{dataplanes: 1, services: 1}, "/nowhere"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("startFleet = %v, want the folder that is missing", err)
	}
}
