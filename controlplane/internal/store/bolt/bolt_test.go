package bolt

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "new", "folder", "store.db")
		return func() store.Store { return open(t, path) }
	})
}

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
