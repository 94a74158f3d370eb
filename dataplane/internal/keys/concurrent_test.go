package keys

import (
	"strconv"
	"sync"
	"testing"
)

// TestChangesAreAtomic is promise P2 for keys: versions of a key follow each other, one secret in common. That one is
// valid at every moment, leads to ever newer versions, and the other one is never valid with a version that is not its
// own. Other keys come and go meanwhile, so that the index is rebuilt.
func TestChangesAreAtomic(t *testing.T) {
	const rotations = 5_000
	table := NewTable()
	shared := Hash{31: 1}
	pair := func(n int) *Identity {
		return &Identity{Name: "alice", Services: []string{strconv.Itoa(n)}, Secrets: []Secret{
			{ID: strconv.Itoa(n), Hash: shared}, {ID: strconv.Itoa(n), Hash: HashOf(strconv.Itoa(n))},
		}}
	}
	put(t, table, pair(0))

	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			last := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				id, v := table.Verify(shared, now)
				if v != OK {
					t.Errorf("a secret that is always valid: %v", v)
					return
				}
				n, err := strconv.Atoi(id.Services[0])
				if err != nil || n < last {
					t.Errorf("version %q after %d", id.Services[0], last)
					return
				}
				// Seen together, so one version: its second secret is this one's or, by now, revoked.
				if other, v := table.Verify(id.Secrets[1].Hash, now); v == OK && other.Secrets[1].ID != id.Secrets[1].ID {
					t.Errorf("secret %s belongs to version %s", id.Secrets[1].ID, other.Secrets[1].ID)
					return
				}
				last = n
			}
		})
	}
	for n := 1; n <= rotations; n++ {
		put(t, table, pair(n))
		if table.StillValid(HashOf(strconv.Itoa(n-1)), now) {
			t.Fatalf("version %d: the secret of the one before is valid after Put has returned", n)
		}
		put(t, table, identity("key-"+strconv.Itoa(n%3_000), "secret-"+strconv.Itoa(n)))
		if n%5 == 0 {
			table.Remove("key-" + strconv.Itoa(n%1_000))
		}
	}
	close(stop)
	wg.Wait()
}
