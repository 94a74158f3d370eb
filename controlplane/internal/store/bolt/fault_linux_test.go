package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/storetest"
)

// disk puts a device in the place of a store's file, under the same descriptor.
type disk struct{ file *os.File }

func (d *disk) open(name string, flag int, perm os.FileMode) (f *os.File, err error) {
	d.file, err = os.OpenFile(name, flag, perm)
	return d.file, err
}

// become returns what puts the file back.
func (d *disk) become(t *testing.T, device string) (restore func()) {
	t.Helper()
	must := func(fd int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	fd := int(d.file.Fd())
	saved := must(unix.Dup(fd))
	other := must(unix.Open(device, unix.O_RDWR, 0))
	must(0, unix.Dup3(other, fd, unix.O_CLOEXEC))
	must(0, unix.Close(other))
	return func() {
		must(0, unix.Dup3(saved, fd, unix.O_CLOEXEC))
		must(0, unix.Close(saved))
	}
}

// faulty returns a store with a few revisions, so that free pages wait in its file.
func faulty(t *testing.T) (*Store, *disk, *storetest.History, string) {
	t.Helper()
	d, h, path := &disk{}, &storetest.History{}, filepath.Join(t.TempDir(), "store.db")
	s, err := OpenWith(path, Options{OpenFile: d.open})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	for _, value := range []string{"1", "2", "3", "4"} {
		note := store.Note{Table: "t", Key: value, Value: []byte("v")}
		if err := errors.Join(put(t, s, h, value), s.Note(t.Context(), note)); err != nil {
			t.Fatal(err)
		}
	}
	return s, d, h, path
}

func put(t *testing.T, s *Store, h *storetest.History, value string) error {
	t.Helper()
	r := h.Put(t, storetest.Service("a"), []byte(value))
	return s.Apply(t.Context(), r.GetRevision()-1, []store.Record{r})
}

func TestFullDisk(t *testing.T) {
	s, d, h, _ := faulty(t)
	before, _ := s.State(t.Context())
	restore := d.become(t, "/dev/full")
	for range 3 {
		if err := put(t, s, h.Clone(), "lost"); !errors.Is(err, store.ErrFull) {
			t.Errorf("Apply() on a full disk = %v, want ErrFull", err)
		}
		if err := s.Note(t.Context(), store.Note{Table: "t", Key: "k", Value: []byte("v")}); !errors.Is(err, store.ErrFull) {
			t.Errorf("Note() on a full disk = %v, want ErrFull", err)
		}
		wantValue(t, s, "4")
	}
	restore()
	if after, _ := s.State(t.Context()); after.Revision != before.Revision || after.Config != before.Config {
		t.Errorf("State() = %+v, want %+v", after, before)
	}
	if err := put(t, s, h, "5"); err != nil {
		t.Errorf("Apply() with room again = %v", err)
	}
	wantValue(t, s, "5")
}

func TestFailedSync(t *testing.T) {
	s, d, h, path := faulty(t)
	restore := d.become(t, "/dev/null") // takes every write, and cannot be synced
	if err := put(t, s, h, "lost"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Apply() = %v, want ErrReadOnly", err)
	}
	restore()
	if err := put(t, s, h, "lost"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Apply() on a disk that is well again = %v, want ErrReadOnly", err)
	}
	if err := s.Note(t.Context(), store.Note{Table: "t", Key: "k", Value: []byte("v")}); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Note() = %v, want ErrReadOnly", err)
	}
	if _, err := s.BeginEpoch(t.Context(), 4, nil, 0); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("BeginEpoch() = %v, want ErrReadOnly", err)
	}
	wantValue(t, s, "4")
	reopened := reopen(t, s, path)
	wantValue(t, reopened, "4")
}

// TestUnsyncedHead fails the last fsync of a commit: the page cache shows a head that the disk may never get.
func TestUnsyncedHead(t *testing.T) {
	s, _, h, path := faulty(t)
	s.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), syscall.EIO) }
	if err := put(t, s, h, "5"); !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, syscall.EIO) {
		t.Errorf("Apply() = %v, want ErrReadOnly with its cause", err)
	}
	if state, _ := s.State(t.Context()); state.Revision != 4 {
		t.Errorf("State() has revision %d, want 4", state.Revision)
	}
	if err := s.View(t.Context(), func(store.Reader) error { return nil }); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("View() of a head that may be lost = %v, want ErrReadOnly", err)
	}
	wantValue(t, reopen(t, s, path), "5") // not acknowledged, and whole
}

// TestFullAtTheHead says that the disk was full when the head was written: whether it has it is not known.
func TestFullAtTheHead(t *testing.T) {
	s, _, h, _ := faulty(t)
	full := &os.PathError{Op: "write", Path: "store.db", Err: syscall.ENOSPC}
	s.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), full) }
	if err := put(t, s, h, "5"); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Apply() = %v, want ErrReadOnly", err)
	}
}

// reopen closes a store and opens its file again.
func reopen(t *testing.T, s *Store, path string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenWith(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, again)
	return again
}

func wantValue(t *testing.T, s *Store, want string) {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error {
		id := storetest.Service("a")
		if got, _ := r.Get(id.Kind, id.ID); string(got) != want {
			t.Errorf("value = %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Errorf("View() = %v", err)
	}
}
