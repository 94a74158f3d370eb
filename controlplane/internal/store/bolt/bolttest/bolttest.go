// Package bolttest opens stores for the tests of what lies above them.
package bolttest

import (
	"path/filepath"
	"testing"

	"apigateway/controlplane/internal/store/bolt"
)

// Open returns an empty store in a folder of the test. It is fast, not durable, and closed at the end of the test.
func Open(tb testing.TB) *bolt.Store {
	tb.Helper()
	s, err := bolt.OpenWith(filepath.Join(tb.TempDir(), "store.db"), bolt.Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
