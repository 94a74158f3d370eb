package configsync

import (
	"maps"
	"os"
	"path/filepath"
	"testing/synctest"

	"pgregory.net/rapid"

	"apigateway/dataplane/internal/cache"
)

// begin starts the process.
func (x *machine) begin(dir string) {
	var err error
	if x.dir, err = cache.Open(dir); err != nil {
		x.rt.Fatal(err)
	}
	x.f = start(x.t, x.dir)
	x.run++
	maps.Copy(x.served, x.durable)
	x.f.replica.mu.Lock()
	defer x.f.replica.mu.Unlock()
	if x.durable[keysID] > 0 && !x.f.replica.keys.present || x.durable[configID] > 0 && x.f.replica.config.built == nil {
		x.rt.Fatal("the cache has nothing of what was acknowledged as durable")
	}
}

// stop ends it in order.
func (x *machine) stop() {
	x.f.stop()
	if err := x.dir.Close(); err != nil {
		x.rt.Error(err)
	}
	x.peer = nil
}

func (x *machine) restart(*rapid.T) {
	folder := x.dir.Path()
	x.pump()
	x.stop()
	x.begin(folder)
	x.pump()
}

// kill starts again from what is on disk now; what the process would have written at its end is not there.
func (x *machine) kill(t *rapid.T) {
	next := x.copyCache(t)
	x.stop()
	x.begin(next)
	x.pump()
}

func (x *machine) copyCache(t *rapid.T) string {
	next := filepath.Join(filepath.Dir(x.dir.Path()), string(rune('a'+x.run%26))+filepath.Base(x.dir.Path()))
	if err := os.CopyFS(next, os.DirFS(x.dir.Path())); err != nil {
		t.Fatal(err)
	}
	return next
}

// tear kills the process in the middle of an append: its report was never sent.
func (x *machine) tear(t *rapid.T) {
	x.following(t)
	x.feed(keysID, 100)
	x.changeKeys(t)
	if x.peer == nil || x.has[keysID] == nil || x.has[keysID].epoch != x.m.epoch {
		t.Skip("no records follow on what it has")
	}
	next := x.copyCache(t)
	records := x.m.since(keysID, x.revision(keysID))
	_ = x.peer.Send(saidRecords(records...))
	synctest.Wait()
	after, err := os.ReadFile(filepath.Join(x.dir.Path(), "keys.cache"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(next, "keys.cache")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(after) - len(before); n > 1 && string(after[:len(before)]) == string(before) {
		kept := rapid.IntRange(1, n-1).Draw(t, "kept")
		torn := append(before, after[len(before):len(before)+kept]...)
		if err := os.WriteFile(file, torn, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x.stop()
	x.begin(next)
	x.pump()
}
