package bolt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/storetest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func closeAtEnd(t *testing.T, s store.Store) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
}

func TestOpenMakesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "store.db")
	closeAtEnd(t, open(t, path))
	for _, test := range []struct {
		path string
		want os.FileMode
	}{{path, 0o600}, {filepath.Dir(path), 0o700 | os.ModeDir}} {
		info, err := os.Stat(test.path)
		if err != nil || info.Mode() != test.want {
			t.Errorf("mode of %s = %v, %v, want %v", test.path, info.Mode(), err, test.want)
		}
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	closeAtEnd(t, open(t, path))
	wantError(t, path, "in use by another process")
}

// filled makes a store with entries in both parts, lets fn change the file with bbolt, and returns its path.
func filled(t *testing.T, fn func(*bolt.Tx) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s, h := open(t, path), &storetest.History{}
	records := []store.Record{
		h.Put(t, storetest.Service("a"), []byte(strings.Repeat("value of a", 1000))),
		h.Put(t, storetest.KeyNamed("k"), storetest.Key(t, gatewayv1.KeySource_KEY_SOURCE_STORE, "x")),
	}
	if err := s.Apply(t.Context(), 0, records); err != nil {
		t.Fatal(err)
	}
	if err := s.(*Store).db.Update(fn); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantError(t *testing.T, path, want string) {
	t.Helper()
	s, err := Open(path)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open() = %v, want an error with %q and the path", err, want)
	}
}

func TestOpenRefusesAnotherContent(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*bolt.Tx) error
		want   string
	}{
		{"newer format", func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("2")) }, `unknown format, got "2" (want 1)`},
		{"other program", func(tx *bolt.Tx) error { return tx.DeleteBucket(metaBucket) }, "a bolt file of another program"},
		{"no log", func(tx *bolt.Tx) error { return tx.DeleteBucket(logBucket) }, `no bucket "log"`},
		{"no head", func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Delete(headKey) }, "head: unexpected end"},
		{"entry lost", func(tx *bolt.Tx) error {
			return tx.Bucket(entriesBucket).Delete(entryKey(storetest.KeyNamed("k")))
		}, "entries of PART_KEYS do not match the head, got digest 0000000000000000000000000000000000000000000000000000000000000000 of 0 entries (want "},
		{"entry changed", func(tx *bolt.Tx) error {
			return tx.Bucket(entriesBucket).Put(entryKey(storetest.Service("a")), []byte("other"))
		}, "entries of PART_CONFIG do not match the head"},
		{"record lost", func(tx *bolt.Tx) error { return tx.Bucket(logBucket).Delete(revisionKey(1)) }, "log, got"},
		{"record changed", func(tx *bolt.Tx) error { return tx.Bucket(logBucket).Put(revisionKey(1), []byte{0xff}) }, "damaged: record"},
		{"record misplaced", func(tx *bolt.Tx) error {
			b := tx.Bucket(logBucket)
			return b.Put(revisionKey(1), b.Get(revisionKey(2)))
		}, "record of revision 2 at"},
	} {
		t.Run(test.name, func(t *testing.T) { wantError(t, filled(t, test.change), test.want) })
	}
}

func TestOpenRefusesADamagedFile(t *testing.T) {
	nothing := func(*bolt.Tx) error { return nil }
	for _, test := range []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"text", func([]byte) []byte { return []byte(strings.Repeat("not a store\n", 2000)) }, "not a store, or damaged"},
		{"cut", func(b []byte) []byte { return b[:3*os.Getpagesize()] }, "damaged"},
		{"cut to nothing much", func(b []byte) []byte { return b[:100] }, "damaged"},
		{"pages zeroed", func(b []byte) []byte {
			clear(b[2*os.Getpagesize():])
			return b
		}, "damaged"},
		{"bytes flipped in a value", func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), "value of a", "value of b"))
		}, "do not match the head"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filled(t, nothing)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, test.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			wantError(t, path, test.want)
		})
	}
}
