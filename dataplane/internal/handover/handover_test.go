//go:build unix

package handover

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a running data plane in the hands of a test.
type host struct {
	Sockets
	refuses error // of Offer
	keeps   error // of Release

	mu    sync.Mutex
	calls []string
}

func (h *host) note(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
}

func (h *host) Offer(r Request) (Sockets, Terms, error) {
	h.note("offer " + r.ID)
	if r.ID == "again" {
		return Sockets{}, Terms{}, errors.New("still here")
	}
	return h.Sockets, Terms{Port: ":8080"}, h.refuses
}

func (h *host) Release(context.Context) error {
	h.note("release")
	return h.keeps
}

func (h *host) Resume(context.Context) { h.note("resume") }

// running is a server that has been asked to serve.
type running struct {
	*host
	t      *testing.T
	folder string
	end    context.CancelFunc
	done   chan bool // what Serve returned
	handed bool      // likewise, once wait has returned
}

func start(t *testing.T, edit func(*host, *patience)) *running {
	t.Helper()
	r := &running{host: &host{Sockets: Sockets{listen(t), listen(t)}}, t: t, folder: t.TempDir(), done: make(chan bool, 1)}
	s, err := Listen(r.folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(r.host, &s.patience)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.end = cancel
	go func() { r.done <- s.Serve(ctx, r.host) }()
	t.Cleanup(func() { r.wait() })
	return r
}

// wait ends the server, if nobody took over, and returns whether somebody did.
func (r *running) wait() bool {
	r.end()
	if r.done != nil {
		r.handed = <-r.done
		r.done = nil
	}
	return r.handed
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (r *running) ask() (*Takeover, error) {
	return Ask(r.t.Context(), r.folder, Request{ID: "edge-1", Listen: ":8080"})
}

// raw says lines by hand and returns all that is answered until the server closes.
func (r *running) raw(lines string) string {
	r.t.Helper()
	conn, err := net.Dial("unix", socketPath(r.folder))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, lines); err != nil {
		r.t.Fatal(err)
	}
	got, _ := io.ReadAll(conn) // a reset is an end too
	return string(got)
}

func TestTakeover(t *testing.T) {
	r := start(t, nil)
	queued, err := net.Dial("tcp", r.Public.Addr().String()) // nobody has accepted it when the sockets change hands
	if err != nil {
		t.Fatal(err)
	}
	defer queued.Close()
	next, err := r.ask()
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if next.Public.Addr().String() != r.Public.Addr().String() || next.Admin.Addr().String() != r.Admin.Addr().String() || next.Port != ":8080" {
		t.Errorf("got %v, %v and port %q, want what the running one has", next.Public.Addr(), next.Admin.Addr(), next.Port)
	}
	if err := next.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !<-r.done {
		t.Error("Serve() = false, want true")
	}
	r.done = nil
	closeAll([]net.Listener{r.Public, r.Admin})
	next.Close()
	served := accept(t, next.Public)
	defer served.Close()
	if _, err := net.Dial("tcp", next.Admin.Addr().String()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	closeAll([]net.Listener{next.Public, next.Admin})
	if diff := cmp.Diff([]string{"offer edge-1", "release"}, r.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if again, err := Listen(r.folder, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("the new process cannot listen in its turn: %v", err)
	} else {
		_ = again.listener.Close()
	}
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(unhurried.step)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

const (
	request = `{"version":1,"step":"request","request":{"id":"x"}}` + "\n"
	take    = `{"version":1,"step":"take"}` + "\n"
)

// Whatever comes of it, the running process goes on, and the next one that asks is served.
func TestNobodyTakesOver(t *testing.T) {
	hurried := func(_ *host, p *patience) {
		*p = patience{step: time.Millisecond, release: time.Millisecond, ready: time.Millisecond}
	}
	tests := []struct {
		name string
		edit func(*host, *patience)
		ask  func(r *running) string
		want string // part of what the new process is told
		then string // calls, in order
	}{
		{"garbage", nil, func(r *running) string { return r.raw("GET / HTTP/1.1\r\n") }, `got \"GET / HTTP/1.1`, ""},
		{"no line", nil, func(r *running) string { return r.raw(strings.Repeat("x", maxMessage)) }, "message too long, got over 4096 bytes", ""},
		{"another version", nil, func(r *running) string { return r.raw(`{"version":2,"step":"request"}` + "\n") }, "got 2 (want 1)", ""},
		{"another step", nil, func(r *running) string { return r.raw(take) }, `got step \"take\" (want \"request\")`, ""},
		{"no request", nil, func(r *running) string { return r.raw(`{"version":1,"step":"request"}` + "\n") }, "request: got none", ""},
		{"silence", hurried, func(r *running) string { return r.raw("") }, `no \"request\" within 1ms`, ""},
		{"silence after the offer", func(_ *host, p *patience) { p.step = 50 * time.Millisecond }, func(r *running) string { return r.raw(request) }, "", "offer x"},
		{"never ready", func(_ *host, p *patience) { p.ready = time.Millisecond }, func(r *running) string {
			next := r.taken()
			defer next.Close()
			got, _ := io.ReadAll(next.channel.conn)
			if err := next.Ready(r.t.Context()); !gone(err) && err != nil {
				r.t.Error(err)
			}
			return string(got)
		}, `no \"ready\" within 1ms`, "offer edge-1, release, resume"},
		{"ready too late", func(_ *host, p *patience) { p.ready = time.Millisecond }, func(r *running) string {
			next := r.taken()
			defer next.Close()
			r.awaitCall("resume")
			return text(next.Ready(r.t.Context()))
		}, `the running process: refused: no "ready" within 1ms`, "offer edge-1, release, resume"},
		{"another step for ready", nil, func(r *running) string {
			next := r.taken()
			defer next.Close()
			_ = next.channel.send(message{Step: stepTake})
			got, _ := io.ReadAll(next.channel.conn)
			return string(got)
		}, `got step \"take\" (want \"ready\")`, "offer edge-1, release, resume"},
		{"ended after the offer", nil, func(r *running) string {
			next, err := r.ask()
			if err != nil {
				return text(err)
			}
			next.Close()
			return ""
		}, "", "offer edge-1"},
		{"ended before it was ready", nil, func(r *running) string {
			r.taken().Close()
			r.awaitCall("resume")
			return ""
		}, "", "offer edge-1, release, resume"},
		{"refused", func(h *host, _ *patience) { h.refuses = errors.New("--id: got b (want a)") }, func(r *running) string {
			_, err := r.ask()
			return text(err)
		}, "handover: the running process: refused: --id: got b (want a)", "offer edge-1"},
		{"kept", func(h *host, _ *patience) { h.keeps = errors.New("disk full") }, func(r *running) string {
			next, err := r.ask()
			if err != nil {
				return text(err)
			}
			defer next.Close()
			return text(next.Take(r.t.Context()))
		}, "handover: the running process: refused: disk full", "offer edge-1, release"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.edit)
			if got := tt.ask(r); !strings.Contains(got, tt.want) {
				t.Errorf("the new process is told %q, want %q", got, tt.want)
			}
			if _, err := Ask(t.Context(), r.folder, Request{ID: "again"}); err == nil || !strings.Contains(err.Error(), "still here") && !strings.Contains(err.Error(), "within") {
				t.Errorf("the next one that asks: %v, want an answer", err)
			}
			if r.wait() {
				t.Error("Serve() = true, want false")
			}
			calls := slices.DeleteFunc(r.calls, func(call string) bool { return call == "offer again" })
			if got := strings.Join(calls, ", "); got != tt.then {
				t.Errorf("calls = %q, want %q", got, tt.then)
			}
			if _, err := os.Stat(filepath.Join(r.folder, socketName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket after the end: %v, want it gone", err)
			}
		})
	}
}

// taken is a new process to which id and cache were released.
func (r *running) taken() *Takeover {
	r.t.Helper()
	next, err := r.ask()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := next.Take(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return next
}

func (r *running) awaitCall(call string) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		r.mu.Lock()
		seen := slices.Contains(r.calls, call)
		r.mu.Unlock()
		if seen {
			return
		}
		<-tick.C
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// If the running process ends after it has released everything, the new one is the only one left and goes on.
func TestAlone(t *testing.T) {
	r := start(t, nil)
	next := r.taken()
	defer next.Close()
	if r.wait() {
		t.Error("Serve() = true, want false")
	}
	if err := next.Ready(t.Context()); err != nil {
		t.Errorf("Ready() = %v, want nil", err)
	}
	if slices.Contains(r.calls, "resume") {
		t.Error("a process that ends takes nothing back")
	}
	closeAll([]net.Listener{next.Public, next.Admin})
}

func TestNobodyIsThere(t *testing.T) {
	folder := t.TempDir()
	if _, err := Ask(t.Context(), folder, Request{}); !errors.Is(err, ErrNobody) {
		t.Errorf("Ask() without a socket = %v, want %v", err, ErrNobody)
	}
	s, err := Listen(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(socketPath(folder)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v, want mode 0600", info.Mode(), err)
	}
	_ = s.listener.Close() // as by kill -9: the file stays
	if _, err := Ask(t.Context(), folder, Request{}); !errors.Is(err, ErrNobody) {
		t.Errorf("Ask() of a process that was killed = %v, want %v", err, ErrNobody)
	}
	if _, err := Listen(filepath.Join(folder, strings.Repeat("x", 120)), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Listen() on a long path succeeds, want an error")
	}
}

// A running process that answers wrongly is not taken over from.
func TestBadAnswers(t *testing.T) {
	for name, test := range map[string]struct{ answer, want string }{
		"garbage":         {"hello\n", "no message of a hand-over"},
		"another version": {`{"version":7,"step":"offer"}` + "\n", "got 7 (want 1)"},
		"no sockets":      {`{"version":1,"step":"offer"}` + "\n", "got 0 sockets (want 2)"},
		"nothing":         {"", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			l, err := net.Listen("unix", socketPath(folder))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Read(make([]byte, maxMessage))
				_, _ = io.WriteString(conn, test.answer)
			}()
			if _, err := Ask(t.Context(), folder, Request{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Ask() = %v, want %q", err, test.want)
			}
		})
	}
}
