package keystore

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt"
)

// adderEnv makes the test binary a process that adds keys to the store it names, and says each that was acknowledged.
const adderEnv = "KEYSTORE_TEST_ADD_TO"

// addUntilKilled adds keys with 16 writers for ever, or says why it cannot.
func addUntilKilled(path string) {
	s, err := bolt.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	p, err := publish.New(context.Background(), s, slog.Default())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	k := New(p, s, Options{})
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			for i := p.State().Revision; ; i++ {
				name := fmt.Sprintf("k%d-%d", w, i)
				if _, err := k.Add(context.Background(), AddRequest{Name: name, Hash: hash(name)}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				_, _ = os.Stdout.WriteString(name + "\n") // one write: whole lines
			}
		})
	}
	group.Wait()
}

// TestKill kills a process with 16 writers at random moments and looks for what it had acknowledged.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := map[string]bool{}
	for range 5 {
		addAndKill(t, path, 50+rand.IntN(100), acknowledged)
		s, err := bolt.Open(path) // compares the entries with the head
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 250 {
		t.Errorf("only %d keys were acknowledged", len(acknowledged))
	}
}

// addAndKill runs the adder until it has acknowledged n keys, kills it and takes down all that it said.
func addAndKill(t *testing.T, path string, n int, acknowledged map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), adderEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for i := 0; said.Scan(); i++ {
		acknowledged[said.Text()] = true
		if i == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // killed
}

// checkWhole finds each acknowledged key by name and by secret, and as many keys as revisions.
func checkWhole(t *testing.T, s store.Store, acknowledged map[string]bool) {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error {
		for name := range acknowledged {
			id := store.ID{Kind: 3, ID: name}
			if _, ok := r.Get(id.Kind, id.ID); !ok {
				t.Errorf("key %s was acknowledged and is lost", name)
			}
			if got := slices.Collect(r.Names(store.ByHash(hash(name)))); !slices.Equal(got, []string{name}) {
				t.Errorf("key %s is found by its secret as %q", name, got)
			}
		}
		if state := r.State(); state.Revision != state.Keys.Count || state.Keys.Revision != state.Revision {
			t.Errorf("state %+v, want one key for each revision", state)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
