package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stage is a folder with fake programs and ports that were free a moment ago.
type stage struct {
	opts    options
	journal string
}

func newStage(t *testing.T, behave string) stage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, program := range []string{"controlplane", "dataplane", "demo/backend", "fleet"} {
		path := filepath.Join(bin, program)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, path); err != nil {
			t.Fatal(err)
		}
	}
	s := stage{journal: filepath.Join(t.TempDir(), "journal")}
	t.Setenv(envJournal, s.journal)
	t.Setenv(envBehave, behave)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else a fake built with -race takes a second to end
	p := freePorts(t, 7)
	s.opts = options{
		backends: p[:1], proxies: p[1:3], admins: p[3:5], grpc: local(p[5]), http: local(p[6]),
		config: "gateway.yaml", store: "bolt:x", bin: bin, logLevel: "info", readyTimeout: 20 * time.Second,
	}
	return s
}

func freePorts(t *testing.T, n int) ports {
	t.Helper()
	var found ports
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		found = append(found, ln.Addr().(*net.TCPAddr).Port)
	}
	return found
}

// noted returns the journal's lines with the given prefix, without it.
func (s stage) noted(t *testing.T, prefix string) []string {
	t.Helper()
	text, err := os.ReadFile(s.journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			lines = append(lines, strings.TrimRight(rest, ":0123456789"))
		}
	}
	return lines
}

// terminal is the fleet's stdout: tests wait for a text in it.
type terminal struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{} // capacity 1
}

func newTerminal() *terminal { return &terminal{wrote: make(chan struct{}, 1)} }

func (w *terminal) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *terminal) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func (w *terminal) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(w.String(), text) {
		select {
		case <-w.wrote:
		case <-late:
			t.Fatalf("terminal lacks %q:\n%s", text, w)
		}
	}
}

// launch runs the fleet until it is up. done gets what runFleet returns; cancel ends its context.
func (s stage) launch(t *testing.T) (screen *terminal, cancel func(), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	screen, result := newTerminal(), make(chan error, 1)
	go func() { result <- runFleet(ctx, s.opts, screen) }()
	screen.await(t, "Ctrl-C stops everything")
	return screen, cancel, result
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the fleet goes on")
		return nil
	}
}

func TestOrderOfStartAndStop(t *testing.T) {
	s := newStage(t, "")
	screen, cancel, done := s.launch(t)
	for _, want := range []string{
		"backend-1     pid ", "http://localhost:" + strconv.Itoa(s.opts.proxies[1]), "gatewayctl --server " + s.opts.grpc,
	} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("banner lacks %q:\n%s", want, screen)
		}
	}
	cancel()
	if err := await(t, done); err != nil {
		t.Errorf("runFleet = %v, want nil", err)
	}
	up := []string{"backend-", "controlplane", "dataplane", "dataplane"}
	if diff := cmp.Diff(up, s.noted(t, "up ")); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
	down := []string{"dataplane", "dataplane", "controlplane", "backend-"}
	if diff := cmp.Diff(down, s.noted(t, "down ")); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
}

func TestStartThatFails(t *testing.T) {
	tests := []struct {
		name, behave, want string
		timeout            time.Duration
	}{
		{"ends at once", "controlplane:broken", "controlplane ended: exit status 1; its last lines:\n    this is why", time.Minute},
		{"never ready", "backend:unready", "backend-1: not ready, got no 200 from http://127.0.0.1:", 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.behave)
			s.opts.readyTimeout = tt.timeout
			err := runFleet(t.Context(), s.opts, newTerminal())
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("runFleet = %v, want %s…", err, tt.want)
			}
			if up, down := s.noted(t, "up "), s.noted(t, "down "); len(up) != len(down) {
				t.Errorf("left behind: up %q, down %q", up, down)
			}
		})
	}
}

func TestFailureEndsTheFleet(t *testing.T) {
	s := newStage(t, "")
	_, cancel, done := s.launch(t)
	defer cancel()
	// The fake dies of this request, with or without an answer.
	if res, err := http.Get("http://" + local(s.opts.admins[0]) + "/fail"); err == nil {
		res.Body.Close()
	}
	err := await(t, done)
	http.DefaultClient.CloseIdleConnections()
	if want := "dataplane-1 ended: exit status 7; its last lines:\n    asked to fail"; err == nil || err.Error() != want {
		t.Errorf("runFleet = %v, want %s", err, want)
	}
	if down := s.noted(t, "down "); len(down) != 4 {
		t.Errorf("down %q, want all 4", down)
	}
}

func TestStoppedByHandGoesOn(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			s := newStage(t, "")
			screen, cancel, done := s.launch(t)
			_, after, _ := strings.Cut(screen.String(), "backend-1     pid ")
			pid, err := strconv.Atoi(strings.Fields(after)[0])
			if err != nil {
				t.Fatal(err)
			}
			process, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			screen.await(t, "demo/backend --port "+strconv.Itoa(s.opts.backends[0])+" --name backend-1\n")
			cancel()
			if err := await(t, done); err != nil {
				t.Errorf("runFleet = %v, want nil", err)
			}
		})
	}
}

func TestSecondRequestKills(t *testing.T) {
	s := newStage(t, "controlplane:deaf")
	screen := newTerminal()
	f := newFleet(s.opts, screen)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	screen.await(t, "Ctrl-C stops everything")
	cancel()
	if err := await(t, done); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
	f.stop(ctx) // its context has ended already: no grace
	if !strings.Contains(screen.String(), "controlplane does not end, it is killed") {
		t.Errorf("nothing was killed:\n%s", screen)
	}
}

func TestStopWhileStarting(t *testing.T) {
	s := newStage(t, "controlplane:unready")
	ctx, cancel := context.WithCancel(t.Context())
	f := newFleet(s.opts, newTerminal())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	cancel()
	if err := await(t, done); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
	f.stop(t.Context())
}
