//go:build system

package configs

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"apigateway/dataplane/proxy"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// soakTime is how long TestNothingLeaks lasts. SOAK=30m go test -tags=system -timeout=40m -run=TestNothingLeaks -v ./configs is the long form.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	asked := os.Getenv("SOAK")
	if asked == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(asked)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	return d
}

// Requests, key changes, reloads, faults of backends and broken connections of all kinds, over and over: what the planes have in use in the
// second half of the time is what they had in the first.
func TestNothingLeaks(t *testing.T) {
	s := newSoak(t)
	s.fillLog()
	began, lasts := time.Now(), soakTime(t)
	for time.Since(began) < lasts/10 { // pools, tables and histories grow to their sizes
		s.round()
	}
	readings := make([][]reading, len(s.planes))
	for s.changes = 0; time.Since(began) < lasts; {
		s.round()
		for i, u := range s.look() {
			readings[i] = append(readings[i], reading{s.changes, u})
		}
	}
	for i, p := range s.planes {
		mayGrow := 0
		if p == s.control { // the log holds so many bytes: a record of a round takes the place of a part of a large one, and has its own frame
			mayGrow = 128
		}
		early, late, grown := leaks(readings[i], mayGrow)
		t.Logf("%s: %+v early, %+v late, %d changes apart, %d looks", p.name, early.usage, late.usage, late.changes-early.changes, len(readings[i]))
		for _, what := range grown {
			t.Errorf("%s leaks: %s", p.name, what)
		}
	}
	t.Logf("%d changes, %d requests, %d of them answered with 200, %d connections cut", s.changes, s.asked, s.good, s.network.faults.Load())
	if s.good == 0 || s.changes == 0 || s.network.faults.Load() == 0 {
		t.Error("there was no load, no change or no fault")
	}
}

// soak is two data planes, one of them behind a network that is bad now and then, and what befalls them.
type soak struct {
	*fleet
	control  *plane
	planes   []*plane // all of them
	backends []*backend
	network  *network
	rounds   int
	changes  int // of keys and of the configuration, since it was set to 0

	pause sync.RWMutex // held by look: no request is under way
	mu    sync.Mutex
	asked int
	good  int
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{fleet: newProcesses(t), backends: []*backend{newBackend(t, "backend-1"), newBackend(t, "backend-2")}}
	s.write(s.file())
	s.control = s.startControl()
	s.network = newNetwork(t, s.grpc)
	a := s.startData("a")
	b := s.startData("b", func(o *proxy.Options) { o.ControlPlanes = []string{s.network.address} })
	s.planes = []*plane{s.control, a, b}
	s.awaitServing()
	ending := make(chan struct{})
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() { s.work(s.planes[1+i%2], ending) })
	}
	t.Cleanup(func() {
		close(ending)
		workers.Wait()
	})
	return s
}

// file is the configuration of a round. services are further ones.
func (s *soak) file(services ...string) string {
	constant := service("constant", guarded, unlimited+", cb_reset_timeout_seconds: 1", s.backends...)
	return configuration(append(services, constant, changing(s.rounds, s.backends))...)
}

// fillLog has the control plane publish as much as its log keeps: it grows until then.
func (s *soak) fillLog() {
	s.t.Helper()
	const logBytes, services = 16 << 20, 1000
	names, lines := make([]string, services), make([]string, services)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%03d", strings.Repeat("service", 8), i)
		lines[i] = service(names[i], "auth_apikey", "", s.backends[0])
	}
	s.load(s.file(lines...))
	keys := gatewayv1.NewKeyServiceClient(s.conn)
	hash := apikey.Hash("large")
	for published := 0; published < 5*logBytes/4; published += services * len(names[0]) {
		ctx, cancel := s.call()
		_, err := keys.AddKey(ctx, &gatewayv1.AddKeyRequest{Name: "large", Sha256: hash[:], Services: names})
		cancel()
		if err != nil {
			s.t.Fatal(err)
		}
		s.revokeKey("large")
	}
	s.load(s.file())
}

// load replaces the configuration and returns when it is served.
func (s *soak) load(content string) {
	s.t.Helper()
	before := s.status().GetAppliedAtMs()
	s.write(content)
	s.signal(s.control, syscall.SIGHUP)
	s.await("the file to be taken up", func() bool { return s.status().GetAppliedAtMs() > before })
	s.awaitBoth(gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	s.changes++
}

// round is a little of all that happens, and ends with all being well.
func (s *soak) round() {
	s.t.Helper()
	s.rounds++
	victim := s.backends[s.rounds%2]
	switch s.rounds % 4 {
	case 0:
		victim.stop()
	case 1:
		victim.broken.Store(true)
	case 2:
		s.network.bad.Store(true)
	}
	for i := range 40 {
		name := fmt.Sprint("soak-", i%10) // of a name there are a bucket and a last use
		if secret, _ := s.addKey(name); i%10 == 0 {
			for _, p := range s.planes[1:] {
				_, _ = s.try(p.public, "/constant", secret) // whether it is served there already is not the question
			}
		}
		s.revokeKey(name)
		s.changes += 2
	}
	s.network.bad.Store(false)
	victim.broken.Store(false)
	if s.rounds%4 == 0 {
		victim.start(s.t)
	}
	s.load(s.file())
}

// look returns what each plane has in use while no request is under way.
func (s *soak) look() (all []usage) {
	s.t.Helper()
	s.pause.Lock()
	defer s.pause.Unlock()
	s.client.CloseIdleConnections()
	for _, p := range s.planes {
		all = append(all, s.usage(p))
	}
	return all
}

// work asks for this and that until it is told to end: with keys and without, on connections that are used again and on new ones, and goes
// before some answers are there.
func (s *soak) work(p *plane, ending chan struct{}) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var c *client
	defer func() { c.close() }()
	for {
		select {
		case <-ending:
			return
		case <-tick.C:
		}
		s.pause.RLock()
		status := 0
		c, status = s.ask(p, c)
		s.pause.RUnlock()
		s.mu.Lock()
		s.asked++
		if status == http.StatusOK {
			s.good++
		}
		s.mu.Unlock()
	}
}

// paths are asked for equally often.
var paths = slices.Concat(slices.Repeat([]string{"/constant", "/changing"}, 10), []string{"/constant/status/404", "/constant/status/500", "/nowhere", "/constant/socket"})

// ask sends one request and returns the connection for the next one, if there may be one.
func (s *soak) ask(p *plane, c *client) (*client, int) {
	if c == nil {
		var err error
		if c, err = dial(p.public); err != nil {
			return nil, 0
		}
	}
	path := paths[rand.IntN(len(paths))]
	if rand.IntN(20) == 0 { // gone before the answer
		_ = c.send(path, fileKey, "")
		c.close()
		return nil, 0
	}
	key := fileKey
	if rand.IntN(10) == 0 {
		key = "wrong"
	}
	status, last, err := c.get(path, key)
	if err != nil || last || path == "/constant/socket" || rand.IntN(20) == 0 {
		c.close()
		c = nil
	}
	return c, status
}

// reading is what a plane had in use after so many changes.
type reading struct {
	changes int
	usage
}

// leaks compares the medians of two halves and tells what has grown more than it varies. What leaks one of anything per change has grown by
// half of all changes. mayGrow are the bytes of heap that a change may add.
func leaks(all []reading, mayGrow int) (early, late reading, grown []string) {
	if len(all) < 4 {
		return early, late, []string{fmt.Sprintf("%d looks are too few to tell", len(all))}
	}
	early, late = medians(all[:len(all)/2]), medians(all[len(all)/2:])
	changes := late.changes - early.changes
	for _, what := range []struct {
		name        string
		early, late int
		most        int // that it may have grown
	}{
		{"bytes of heap", early.heap, late.heap, 64<<10 + 64*min(changes, 10_000) + mayGrow*changes},
		{"goroutines", early.goroutines, late.goroutines, 10 + min(changes/10, 20)},
		{"descriptors", early.descriptors, late.descriptors, 10 + min(changes/10, 20)},
	} {
		if n := what.late - what.early; n > what.most {
			grown = append(grown, fmt.Sprintf("%d %s more after %d changes, from %d (want at most %d)", n, what.name, changes, what.early, what.most))
		}
	}
	return early, late, grown
}

func medians(all []reading) reading {
	median := func(of func(reading) int) int {
		var list []int
		for _, r := range all {
			list = append(list, of(r))
		}
		slices.Sort(list)
		return list[len(list)/2]
	}
	return reading{
		changes: median(func(r reading) int { return r.changes }),
		usage: usage{
			heap:        median(func(r reading) int { return r.heap }),
			stacks:      median(func(r reading) int { return r.stacks }),
			goroutines:  median(func(r reading) int { return r.goroutines }),
			descriptors: median(func(r reading) int { return r.descriptors }),
		},
	}
}

// A leak of one thing per change is noticed, what varies is not.
func TestLeaksAreNoticed(t *testing.T) {
	for _, tt := range []struct {
		name string
		leak func(changes int) usage
		want int // of what is told
	}{
		{"nothing", func(int) usage { return usage{} }, 0},
		{"a table entry", func(n int) usage { return usage{heap: 200 * n} }, 1},
		{"a goroutine", func(n int) usage { return usage{goroutines: n, heap: 400 * n} }, 2},
		{"a descriptor", func(n int) usage { return usage{descriptors: n} }, 1},
		{"a descriptor every tenth time", func(n int) usage { return usage{descriptors: n / 10} }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []reading
			for i := range 20 {
				u := tt.leak(81 * i)
				u.heap += 4<<20 + rand.IntN(64<<10)
				u.goroutines += 30 + rand.IntN(5)
				u.descriptors += 20 + rand.IntN(5)
				all = append(all, reading{81 * i, u})
			}
			if _, _, got := leaks(all, 0); len(got) != tt.want {
				t.Errorf("leaks() tells %q, want %d of them", got, tt.want)
			}
		})
	}
}
