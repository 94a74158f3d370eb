package cache

import (
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const keysPart = gatewayv1.Part_PART_KEYS

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// model is what a part should hold.
type model struct {
	state   State
	entries map[Ref][]byte
}

func newModel() *model {
	return &model{state: State{Epoch: "epoch-1", Generation: 3}, entries: map[Ref][]byte{}}
}

func (m *model) change(removes []string, puts ...string) *gatewayv1.Record {
	m.state.Revision++
	rec := &gatewayv1.Record{Revision: m.state.Revision, Part: keysPart}
	for _, id := range removes {
		delete(m.entries, Ref{gatewayv1.Kind_KIND_KEY, id})
		rec.Removes = append(rec.Removes, &gatewayv1.EntryRef{Kind: gatewayv1.Kind_KIND_KEY, Id: id})
	}
	for _, id := range puts {
		value := fmt.Appendf(nil, "value of %s at %d", id, m.state.Revision)
		m.entries[Ref{gatewayv1.Kind_KIND_KEY, id}] = value
		rec.Puts = append(rec.Puts, &gatewayv1.Entry{Kind: gatewayv1.Kind_KIND_KEY, Id: id, Value: value})
	}
	m.state.Digest, m.state.Count = gatewayv1.Digest{}, uint64(len(m.entries))
	for ref, value := range m.entries {
		m.state.Digest = m.state.Digest.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
	}
	rec.DigestAfter = m.state.Digest.Bytes()
	return rec
}

func (m *model) list() []Entry {
	list := make([]Entry, 0, len(m.entries))
	for ref, value := range m.entries {
		list = append(list, Entry{ref, value})
	}
	return list
}

func (m *model) content() *Content {
	return &Content{State: m.state, Entries: maps.Clone(m.entries)}
}

func open(tb testing.TB, path string) *Dir {
	tb.Helper()
	d, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() }) // a test that closed it has looked
	return d
}

// reload closes d and reads the part anew.
func reload(tb testing.TB, d *Dir) (*Dir, *Content, error) {
	tb.Helper()
	if err := d.Close(); err != nil {
		tb.Fatal(err)
	}
	d = open(tb, d.Path())
	c, err := d.Load(keysPart)
	return d, c, err
}

func check(tb testing.TB, got *Content, want *model) {
	tb.Helper()
	if diff := cmp.Diff(want.content(), got, cmp.AllowUnexported(gatewayv1.Digest{})); diff != "" {
		tb.Errorf("content (-want +got):\n%s", diff)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestCheckpointAndJournal(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	if c, err := d.Load(keysPart); c != nil || err != nil {
		t.Fatalf("Load of nothing = %v, %v, want nil, nil", c, err)
	}
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "a")}); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("Append to nothing = %v, want ErrNoCheckpoint", err)
	}
	many := make([]string, 3000) // several chunks
	for i := range many {
		many[i] = fmt.Sprintf("key-%d", i)
	}
	m.change(nil, many...)
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	d, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)

	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change([]string{"key-7"}, "b"), m.change(nil, "key-8")}))
	d, c, err = reload(t, d)
	must(t, err)
	check(t, c, m)

	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change([]string{"b"})}))
	_, c, err = reload(t, d)
	must(t, err)
	check(t, c, m)
}

func TestPermissions(t *testing.T) {
	d, m := open(t, filepath.Join(t.TempDir(), "a", "b")), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	for name, want := range map[string]os.FileMode{"": os.ModeDir | 0o700, "keys.cache": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(d.Path(), name))
		must(t, err)
		if got := info.Mode(); got != want {
			t.Errorf("mode of %q = %v, want %v", name, got, want)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	d := open(t, t.TempDir())
	if _, err := Open(d.Path()); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open = %v, want ErrLocked", err)
	}
	must(t, d.Close())
	open(t, d.Path())
}

func TestUnwritableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	d := open(t, filepath.Join(file, "below"))
	if d.Unwritable() == nil {
		t.Error("Unwritable = nil, want why")
	}
	if c, err := d.Load(keysPart); c != nil || err != nil {
		t.Errorf("Load = %v, %v, want nil, nil", c, err)
	}
	m := newModel()
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "a")}); err == nil {
		t.Error("Append = nil, want an error")
	}
	if err := d.Replace(keysPart, m.state, slices.Values(m.list())); err == nil {
		t.Error("Replace = nil, want an error")
	}
	d.Compact(keysPart, m.state, slices.Values(m.list()), func(error) { t.Error("Compact wrote") })
}

// fill appends 4.5 MiB of records that change the one entry a.
func fill(tb testing.TB, d *Dir, m *model) {
	tb.Helper()
	big := strings.Repeat("x", 100<<10)
	for range 45 {
		rec := m.change(nil, "a")
		rec.Puts[0].Value = append(rec.Puts[0].Value, big...)
		m.entries[Ref{gatewayv1.Kind_KIND_KEY, "a"}] = rec.Puts[0].Value
		m.state.Digest = gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "a", rec.Puts[0].Value)
		rec.DigestAfter = m.state.Digest.Bytes()
		must(tb, d.Append(keysPart, []*gatewayv1.Record{rec}))
	}
}

func TestCompact(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	if d.NeedsCheckpoint(keysPart) {
		t.Fatal("NeedsCheckpoint after Replace = true")
	}
	fill(t, d, m)
	if !d.NeedsCheckpoint(keysPart) {
		t.Fatal("NeedsCheckpoint = false, want true above 4 MiB")
	}
	reading, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	list := m.list()
	d.Compact(keysPart, m.state, func(yield func(Entry) bool) {
		close(reading)
		<-goOn
		slices.Values(list)(yield)
	}, func(err error) { done <- err })
	<-reading
	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change([]string{"a"}, "during")}))
	close(goOn)
	must(t, <-done)
	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "after")}))
	info, err := os.Stat(filepath.Join(d.Path(), "keys.cache"))
	must(t, err)
	if info.Size() > 1<<20 {
		t.Errorf("file has %d bytes after Compact, want less than 1 MiB", info.Size())
	}
	_, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)
}

// A disk with room for records and none for a checkpoint is not asked again with each record.
func TestFailedCompactWaits(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	fill(t, d, m)
	must(t, os.Rename(d.Path(), d.Path()+".away"))
	done := make(chan error)
	d.Compact(keysPart, m.state, slices.Values(m.list()), func(err error) { done <- err })
	if err := <-done; err == nil {
		t.Fatal("Compact in a folder that is gone = nil, want an error")
	}
	must(t, os.Rename(d.Path()+".away", d.Path()))
	if d.NeedsCheckpoint(keysPart) {
		t.Error("NeedsCheckpoint after one that failed = true")
	}
	fill(t, d, m)
	if !d.NeedsCheckpoint(keysPart) {
		t.Error("NeedsCheckpoint with 4 MiB more = false")
	}
	_, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)
}

// A checkpoint that a newer state overtakes is given up, which is nobody's error.
func TestReplaceOvertakesCompact(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	reading, goOn := make(chan struct{}), make(chan struct{})
	list := m.list()
	d.Compact(keysPart, m.state, func(yield func(Entry) bool) {
		close(reading)
		<-goOn
		slices.Values(list)(yield)
	}, func(err error) { t.Errorf("told of a checkpoint that was overtaken: %v", err) })
	<-reading
	m.change([]string{"a"}, "b")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	close(goOn)
	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "c")}))
	_, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)
}

// A part that could not be written is whole again after the next checkpoint, with what came meanwhile.
func TestRecovery(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	must(t, d.keys.out.Close()) // the disk refuses from now on
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change([]string{"a"}, "b")}); err == nil {
		t.Fatal("Append = nil, want an error")
	}
	if !d.NeedsCheckpoint(keysPart) {
		t.Fatal("NeedsCheckpoint = false after an error")
	}
	goOn, done := make(chan struct{}), make(chan error)
	list := m.list()
	d.Compact(keysPart, m.state, func(yield func(Entry) bool) {
		<-goOn
		slices.Values(list)(yield)
	}, func(err error) { done <- err })
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "c")}); !errors.Is(err, ErrNoCheckpoint) {
		t.Fatalf("Append = %v, want ErrNoCheckpoint", err)
	}
	close(goOn)
	must(t, <-done)
	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "d")}))
	_, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)
}

// After a snapshot that was not written, records must not be appended to the one before it.
func TestFailedReplaceEndsAppends(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	must(t, os.Rename(d.Path(), d.Path()+".away"))
	m.change([]string{"a"}, "b")
	if err := d.Replace(keysPart, m.state, slices.Values(m.list())); err == nil {
		t.Fatal("Replace = nil, want an error")
	}
	must(t, os.Rename(d.Path()+".away", d.Path()))
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "c")}); !errors.Is(err, ErrNoCheckpoint) {
		t.Fatalf("Append = %v, want ErrNoCheckpoint", err)
	}
}

// A checkpoint whose name may not be durable stands in the place of the file that was appended to: no record may go to that one
// any more, which nobody would ever read.
func TestUnsyncedNameEndsAppends(t *testing.T) {
	d, m := open(t, t.TempDir()), newModel()
	m.change(nil, "a", "b")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	refused, done := errors.New("disk on fire"), make(chan error)
	d.syncFolder = func(string) error { return refused }
	d.Compact(keysPart, m.state, slices.Values(m.list()), func(err error) { done <- err })
	if err := <-done; !errors.Is(err, refused) {
		t.Fatalf("Compact = %v, want %v", err, refused)
	}
	if err := d.Append(keysPart, []*gatewayv1.Record{m.change([]string{"a"})}); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("Append = %v, want ErrNoCheckpoint", err)
	}
	d.syncFolder = syncFolder
	d.Compact(keysPart, m.state, slices.Values(m.list()), func(err error) { done <- err })
	must(t, <-done)
	must(t, d.Append(keysPart, []*gatewayv1.Record{m.change(nil, "c")}))
	_, c, err := reload(t, d)
	must(t, err)
	check(t, c, m)
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "keys.cache-1.tmp"), []byte("half"), 0o600))
	open(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "keys.cache-1.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat = %v, want ErrNotExist", err)
	}
}

func ExampleDir() {
	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d, err := Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	err = d.Replace(gatewayv1.Part_PART_KEYS, State{Epoch: "e", Revision: 1}, slices.Values([]Entry(nil)))
	fmt.Println(err, d.Close())
	// Output: <nil> <nil>
}
