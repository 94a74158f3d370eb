package keys

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 8, 1, 12, 0, 30, 0, time.UTC)

// identity returns one with the secrets named, none of which expires.
func identity(name string, secrets ...string) *Identity {
	id := &Identity{Name: name, All: true}
	for _, s := range secrets {
		id.Secrets = append(id.Secrets, Secret{ID: s, Hash: HashOf(s)})
	}
	return id
}

func put(t *testing.T, table *Table, id *Identity) {
	t.Helper()
	if err := table.Put(id.Name, []byte("raw "+id.Name), id); err != nil {
		t.Fatal(err)
	}
}

// verify compares what a secret says with "name", "unknown" or "expired".
func verify(t *testing.T, table *Table, secret, want string) {
	t.Helper()
	id, v := table.Verify(HashOf(secret), now)
	got := v.String()
	if v == OK {
		got = id.Name
	} else if id != nil {
		t.Errorf("Verify(%q) = %v with an identity, want nil", secret, v)
	}
	if got != want {
		t.Errorf("Verify(%q) = %s, want %s", secret, got, want)
	}
	if valid := table.StillValid(HashOf(secret), now); valid != (v == OK) {
		t.Errorf("StillValid(%q) = %v, Verify says %v", secret, valid, v)
	}
}

func TestHashOf(t *testing.T) {
	want := map[string]string{ // FIPS 180-4 examples
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}
	for secret, hash := range want {
		got := HashOf(secret)
		if hex.EncodeToString(got[:]) != hash {
			t.Errorf("HashOf(%q) = %x, want %s", secret, got, hash)
		}
	}
}

func TestAllows(t *testing.T) {
	tests := []struct {
		name string
		id   *Identity
		want bool
	}{
		{"all", &Identity{All: true}, true},
		{"listed", &Identity{Services: []string{"orders", "users"}}, true},
		{"not listed", &Identity{Services: []string{"orders"}}, false},
		{"empty list", &Identity{}, false},
		{"nil", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.id.Allows("users"); got != tt.want {
				t.Errorf("Allows = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLife(t *testing.T) {
	table := NewTable()
	verify(t, table, "a1", "unknown")
	put(t, table, identity("alice", "a1"))
	verify(t, table, "a1", "alice")
	put(t, table, identity("alice", "a1", "a2"))
	verify(t, table, "a1", "alice")
	verify(t, table, "a2", "alice")
	put(t, table, identity("alice", "a2"))
	verify(t, table, "a1", "unknown")
	verify(t, table, "a2", "alice")
	put(t, table, identity("alice"))
	verify(t, table, "a2", "unknown")
	put(t, table, identity("alice", "a1"))
	table.Remove("alice")
	table.Remove("alice")
	verify(t, table, "a1", "unknown")
	put(t, table, identity("bob", "a1"))
	verify(t, table, "a1", "bob")
	if _, v := table.Verify(Hash{}, now); v != Unknown {
		t.Errorf("Verify of the zero hash = %v, want unknown", v)
	}
}

func TestExpiry(t *testing.T) {
	table := NewTable()
	id := identity("alice", "before", "at")
	id.Secrets[0].ExpiresAt = now.UnixMilli() + 1
	id.Secrets[1].ExpiresAt = now.UnixMilli()
	put(t, table, id)
	verify(t, table, "before", "alice")
	verify(t, table, "at", "expired")
}

func TestUnusable(t *testing.T) {
	table := NewTable()
	put(t, table, identity("alice", "a1"))
	if err := table.Put("alice", []byte("broken"), nil); err != nil {
		t.Fatal(err)
	}
	verify(t, table, "a1", "unknown")
	if raw, ok := table.Get("alice"); !ok || string(raw) != "broken" {
		t.Errorf("Get = %q, %v, want the bytes of the unusable entry", raw, ok)
	}
	put(t, table, identity("alice", "a1"))
	verify(t, table, "a1", "alice")
}

func TestRefusedEntries(t *testing.T) {
	tests := []struct {
		name    string
		id      *Identity
		is      error
		message string
	}{
		{"another's", identity("bob", "b1", "a1"), ErrTaken, `key "bob": secret "a1": secret is taken by key "alice"`},
		{"twice", identity("bob", "b1", "b1"), ErrTaken, `key "bob": secret "b1": secret is taken by secret "b1"`},
		{"three", identity("bob", "b1", "b2", "b3"), ErrTooMany, `key "bob": too many secrets, got 3 (want at most 2)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := NewTable()
			put(t, table, identity("alice", "a1"))
			put(t, table, identity("bob", "b1"))
			err := table.Put("bob", []byte("sent"), tt.id)
			if !errors.Is(err, tt.is) || err.Error() != tt.message {
				t.Errorf("Put = %v, want %s", err, tt.message)
			}
			verify(t, table, "a1", "alice")
			verify(t, table, "b1", "unknown")
			if raw, _ := table.Get("bob"); string(raw) != "sent" {
				t.Errorf("Get = %q, want the bytes as sent", raw)
			}
			table.Remove("alice")
			verify(t, table, "a1", "unknown") // not resurrected
			put(t, table, identity("bob", "a1", "b1"))
			verify(t, table, "a1", "bob")
		})
	}
}

func TestListing(t *testing.T) {
	table := NewTable()
	put(t, table, identity("alice", "a1"))
	put(t, table, identity("bob", "b1"))
	if err := table.Put("carol", []byte("?"), nil); err != nil {
		t.Fatal(err)
	}
	table.Remove("bob")
	got := map[string]string{}
	for name, raw := range table.All() {
		got[name] = string(raw)
		table.Remove(name) // no lock is held
	}
	if diff := cmp.Diff(map[string]string{"alice": "raw alice", "carol": "?"}, got); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if n := table.Len(); n != 0 {
		t.Errorf("Len = %d, want 0", n)
	}
	if _, ok := table.Get("alice"); ok {
		t.Error("Get of a removed key: found")
	}
}

// The table agrees with a map through growth and the purging of cleared places.
func TestAgreesWithMap(t *testing.T) {
	table, model := NewTable(), map[string]string{} // secret → name
	for round := range 3 {
		for i := range 2_000 {
			name := "key-" + strconv.Itoa(i)
			maps.DeleteFunc(model, func(_, owner string) bool { return owner == name })
			if (i+round)%3 == 0 {
				table.Remove(name)
				continue
			}
			a, b := fmt.Sprintf("%s-%d", name, round), fmt.Sprintf("%s-%d", name, round+1)
			put(t, table, identity(name, a, b))
			model[a], model[b] = name, name
		}
		for i := range 2_000 {
			for r := range 5 {
				secret := fmt.Sprintf("key-%d-%d", i, r)
				want, ok := model[secret]
				if !ok {
					want = "unknown"
				}
				verify(t, table, secret, want)
			}
		}
	}
}

// Places that removals leave behind are used again or purged: the index does not grow with the number of changes.
func TestChurnKeepsIndexSmall(t *testing.T) {
	table := NewTable()
	for i := range 100_000 {
		put(t, table, identity("alice", strconv.Itoa(i)))
	}
	x := table.index.Load()
	if len(x.places) > 2*minPlaces || x.live != 1 {
		t.Errorf("index of one secret: %d places, %d live, want at most %d and 1", len(x.places), x.live, 2*minPlaces)
	}
}

// Two secrets of one key on one way: removing either leaves the other findable.
func TestSecretsOnOneWay(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		for _, first := range []byte{7, minPlaces - 1} { // the second wraps around
			table := NewTable()
			id := identity("alice", "a1", "a2")
			for i := range id.Secrets {
				id.Secrets[i].Hash = Hash{0: first, 31: byte(i + 1)}
			}
			put(t, table, id)
			put(t, table, &Identity{Name: "alice", Secrets: id.Secrets[order[0] : order[0]+1]})
			if !table.StillValid(id.Secrets[order[0]].Hash, now) || table.StillValid(id.Secrets[order[1]].Hash, now) {
				t.Errorf("keeping %d of two secrets that begin at %d: wrong one left", order[0], first)
			}
		}
	}
}

func TestTakeUsed(t *testing.T) {
	table := NewTable()
	put(t, table, identity("alice", "a1", "a2"))
	put(t, table, identity("bob", "b1"))
	use := func(secret string, at time.Duration) { table.Verify(HashOf(secret), now.Add(at)) }
	minute := now.Truncate(time.Minute)
	use("a2", 0)
	use("a2", 29*time.Second)
	put(t, table, identity("alice", "a2")) // what is noted stays noted
	use("a2", 29*time.Second)
	use("a2", 30*time.Second)
	use("a2", 0) // the clock went back
	use("b1", 0)
	table.StillValid(HashOf("b1"), now.Add(time.Hour))
	use("nobody's", 0)
	want := []Use{{"alice", "a2", minute}, {"alice", "a2", minute.Add(time.Minute)}, {"bob", "b1", minute}}
	if diff := cmp.Diff(want, table.TakeUsed()); diff != "" {
		t.Errorf("TakeUsed (-want +got):\n%s", diff)
	}
	if got := table.TakeUsed(); len(got) != 0 {
		t.Errorf("TakeUsed again = %v, want none", got)
	}
	use("b1", -100*365*24*time.Hour) // before 1970
}

func TestUsesAreBounded(t *testing.T) {
	table := NewTable()
	table.used.uses = make([]use, maxUses)
	put(t, table, identity("alice", "a1"))
	verify(t, table, "a1", "alice")
	if n := len(table.used.uses); n != maxUses {
		t.Errorf("%d uses wait, want at most %d", n, maxUses)
	}
}

func TestVerifyDoesNotAllocate(t *testing.T) {
	table := NewTable()
	long := strings.Repeat("x", 200)
	put(t, table, identity("alice", "a1", long))
	table.Verify(HashOf(long), now)
	if n := testing.AllocsPerRun(100, func() { table.Verify(HashOf(long), now) }); n != 0 {
		t.Errorf("HashOf and Verify allocate %v times, want 0", n)
	}
}
