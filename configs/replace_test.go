//go:build unix

package configs

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// replacements is how often a data plane is replaced under load.
func replacements() int {
	if long {
		return 50
	}
	return 5
}

// startReplacing starts a process that takes over from old, and returns when it has.
func (f *fleet) startReplacing(old *plane, edit ...func(*proxy.Options)) *plane {
	f.t.Helper()
	next := f.launchData(old.name, append(edit, at(old), func(o *proxy.Options) { o.Replace = true })...)
	f.awaitLog(next, "took over from the running data plane")
	return next
}

func (f *fleet) awaitLog(p *plane, line string) {
	f.t.Helper()
	f.awaitOr(p.name+" to log "+line, func() bool { return strings.Contains(p.log.String(), line) }, p.log.tail)
}

// A data plane is replaced again and again under load, by kept-alive connections of both versions of HTTP and by new ones: nobody notices, and nothing is left behind.
func TestReplacementLosesNothing(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	const idle = "transport: {idle_timeout: 100ms}\n" // connections to backends are none of a replacement's
	f.write(idle + configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"), newBackend(t, "backend-2"))))
	f.startControl()
	drain := func(o *proxy.Options) { o.Drain = patience }
	p := f.startData("a", drain)
	f.awaitServing()
	kept, fresh := startLoad(t, 4, p, "/users", fileKey), startFreshLoad(t, 4, p, "/users", fileKey)
	http2 := startHTTP2Load(t, 4, p, "/users", fileKey)
	f.awaitLoad(kept)
	for range replacements() {
		old := p
		p = f.startReplacing(old, drain)
		f.awaitLoad(kept)
		f.awaitLoad(fresh)
		f.awaitLoad(http2)
		f.awaitEnd(old)
		if code := exited(t, old); code != 0 || !strings.Contains(old.log.String(), "msg=drained") {
			t.Errorf("the one that was replaced exits %d, want 0 and that it drained; log:\n%s", code, old.log.tail())
		}
		if a, err := f.try(p.admin, "/readyz", ""); err != nil || a.status != http.StatusOK {
			t.Errorf("/readyz after the replacement = %d, %v, want 200", a.status, err)
		}
	}
	endLoad(t, kept)
	endLoad(t, fresh)
	endLoad(t, http2)
	if got := f.dataplanes(); len(got) != 1 {
		t.Errorf("data planes = %v, want one", got)
	}
	f.awaitServing()
	f.expectTidy(p)
}

// expectTidy compares a data plane that took over, and has no load any more, with one that was started plainly.
func (f *fleet) expectTidy(p *plane) {
	f.t.Helper()
	plain := f.startData("plain")
	f.expect(plain, "/users", fileKey, answer{status: http.StatusOK})
	f.expect(p, "/users", fileKey, answer{status: http.StatusOK})
	const files, goroutines = "process_open_fds", "go_goroutines"
	want, got := f.metrics(plain), f.metrics(p)
	f.awaitOr("files and goroutines to return", func() bool {
		got = f.metrics(p)
		return got[files] <= want[files] && got[goroutines] <= want[goroutines]
	}, func() string {
		return fmt.Sprintf("got %v files and %v goroutines, a plain one has %v and %v", got[files], got[goroutines], want[files], want[goroutines])
	})
}

// A key that is revoked while one process drains and the other serves is refused by both, and the proof waits for both.
func TestRevocationDuringReplacement(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.startControl()
	old := f.startData("a", func(o *proxy.Options) { o.Drain = 2 * patience })
	f.awaitServing()
	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a")
	idle, err := dial(old.public)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.close()
	if status, last, err := idle.get("/users", secret); status != http.StatusOK || last || err != nil {
		t.Fatalf("a request before = %d, last %v, %v, want 200", status, last, err)
	}
	tunnel := f.openTunnel(old, secret)
	next := f.startReplacing(old)
	if proof := f.prove(f.revokeKey("alice"), true, patience); !proof.GetProven() {
		t.Errorf("proof = %v, want it proven", proof)
	}
	if status, _, err := idle.get("/users", secret); status != http.StatusUnauthorized || err != nil {
		t.Errorf("a request to the process that drains = %d, %v, want 401", status, err)
	}
	f.expect(next, "/users", secret, answer{status: http.StatusUnauthorized})
	if _, err := tunnel.reader.ReadByte(); err == nil {
		t.Error("the tunnel of the revoked key goes on in the process that drains")
	}
	f.awaitEnd(old)
	if code := exited(t, old); code != 0 {
		t.Errorf("exit status = %d, want 0", code)
	}
}

func (f *fleet) openTunnel(p *plane, key string) *client {
	f.t.Helper()
	c, err := dial(p.public)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.close)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		f.t.Fatal(err)
	}
	if err := c.send("/users/socket", key, upgrade); err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.reader, nil) //nolint:bodyclose // it has none: the tunnel begins
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		f.t.Fatalf("tunnel: %v, %v, want 101", resp, err)
	}
	return c
}

// A program that lacks a middleware cannot take over, and killing it brings everything back.
func TestReplacementByTheWrongProgram(t *testing.T) {
	t.Parallel()
	s := readSample(t, "demo/middleware/gateway.yaml")
	f := newProcesses(t)
	f.write(s.content)
	f.startControl()
	old := f.startOwn("own")
	f.awaitServing()
	for range 2 {
		next := f.launchData("own", at(old), func(o *proxy.Options) { o.Replace = true })
		f.awaitRejected("own", `this data plane does not have it`)
		f.expect(old, "/users", "abc-123", answer{status: http.StatusOK})
		f.kill(next)
		f.awaitState("own", gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
		f.expect(old, "/users", "abc-123", answer{status: http.StatusOK})
	}
	if got := f.metrics(old)[`gateway_cache_unsaved{part="keys"}`]; got != 0 {
		t.Errorf("gateway_cache_unsaved = %v after the cache was taken back, want 0", got)
	}
}

// A new process that does not come to serve changes nothing, however far it gets, and what is revoked meanwhile stays revoked.
func TestReplacementThatFails(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	control := f.startControl()
	old := f.startData("a")
	f.awaitServing()
	secret, _ := f.addKey("alice")
	l := startLoad(t, 2, old, "/users", fileKey)
	f.awaitLoad(l)
	for _, lines := range []string{"", "GET / HTTP/1.1\r\n\r\n", `{"version":99,"step":"request"}` + "\n", asking("b"), asking("a")} {
		f.halfway(old, lines).Close()
	}
	conn := f.halfway(old, asking("a"))
	if _, err := io.WriteString(conn, `{"version":1,"step":"take"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(said, `"released"`) {
		t.Fatalf("the running one says %q, %v, want released", said, err)
	}
	lock := f.lockCache(old)         // as a new process does
	revision := f.revokeKey("alice") // while nobody has the id
	f.await("the revocation to be in force", func() bool { return f.get(old, "/users", secret).status == http.StatusUnauthorized })
	conn.Close()
	f.awaitLog(old, "not replaced, goes on")
	_ = lock.Close()
	f.awaitState("a", gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	f.expectProof(f.prove(revision, true, patience), "a")

	plain := f.launchData("a", func(o *proxy.Options) { o.Admin, o.Listen = freeAddress(t), freeAddress(t) })
	f.awaitEnd(plain)
	if code := exited(t, plain); code != 1 || !strings.Contains(plain.log.String(), "--replace to take over") {
		t.Errorf("a second one without --replace exits %d, want 1 and a word of --replace; log:\n%s", code, plain.log.tail())
	}
	f.awaitLoad(l)
	endLoad(t, l)

	f.kill(control)
	next := f.startReplacing(old) // by its cache alone
	f.expect(next, "/users", secret, answer{status: http.StatusUnauthorized})
	f.expect(next, "/users", fileKey, answer{status: http.StatusOK})
	f.awaitEnd(old)
}

// lockCache takes the lock of a cache that nobody uses.
func (f *fleet) lockCache(p *plane) io.Closer {
	f.t.Helper()
	lock, err := os.OpenFile(filepath.Join(f.dir, "cache-"+p.name, "lock"), os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return lock
}

func asking(id string) string {
	return fmt.Sprintf(`{"version":1,"step":"request","request":{"id":%q,"listen":"LISTEN","admin":"ADMIN"}}`+"\n", id)
}

// halfway talks to a running data plane as a new process would, and returns after its answer, if it has one to give.
func (f *fleet) halfway(p *plane, lines string) net.Conn {
	f.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(f.dir, "cache-"+p.name, "handover.sock"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	lines = strings.NewReplacer("LISTEN", p.public, "ADMIN", p.admin).Replace(lines)
	if _, err := io.WriteString(conn, lines); err != nil {
		f.t.Fatal(err)
	}
	if lines != "" {
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			f.t.Fatalf("no answer to %q: %v", lines, err)
		}
	}
	return conn
}
