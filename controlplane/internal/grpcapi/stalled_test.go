package grpcapi

import (
	"fmt"
	"runtime"
	"testing"

	"apigateway/controlplane/internal/store"
)

// heap is what is in use, and by how many goroutines.
func heap() (bytes, goroutines int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), runtime.NumGoroutine()
}

// A data plane that reads nothing at all costs the log that all share and the update that it is being sent, however much changes.
func TestStalledReaderIsBounded(t *testing.T) {
	w := newWorld(t, options{})
	for half := range 2 { // two messages: the second one waits for the first one to be read
		names := make([]string, 1000)
		for i := range names {
			names[i] = fmt.Sprint("key-", half, "-", i)
		}
		w.putKeys(names, 900)
	}
	p := newPeer(t, "stalled")
	p.connect(w)
	w.becomes("stalled", lagging)

	const changes, size = 80, 500 << 10
	before, goroutines := heap()
	for i := range changes {
		w.putKeys([]string{"big"}, size+i)
	}
	after, now := heap()
	if grown, most := after-before, 2*store.LogBytes; grown > most {
		t.Errorf("%d changes of %d bytes took %d bytes of memory, want at most %d", changes, size, grown, most)
	}
	if now > goroutines+10 {
		t.Errorf("%d changes took %d goroutines, want about none", changes, now-goroutines)
	}
	p.takeBoth()
	p.catchUp(w, keysPart)
	w.becomes("stalled", serving)
}
