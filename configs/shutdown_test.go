package configs

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"apigateway/dataplane/proxy"
)

// upgrade are the header lines that ask for a WebSocket.
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// leaveTaking is a data plane of its own process under load of HTTP/1.1 and HTTP/2, with a stream of each and a WebSocket open.
type leaveTaking struct {
	*fleet
	backend *backend
	data    *plane
	load    *load
	load2   *load // over HTTP/2
	stream  *client
	events  io.Reader // the body of the stream's answer
	events2 io.Reader // the same over HTTP/2
	socket  *client
}

func startLeaveTaking(t *testing.T, drain, delay time.Duration) *leaveTaking {
	t.Helper()
	f := newProcesses(t)
	l := &leaveTaking{fleet: f, backend: newBackend(t, "backend-1")}
	f.write(configuration(service("users", guarded, unlimited, l.backend)))
	f.startControl()
	l.data = f.startData("a", func(o *proxy.Options) { o.Drain, o.DrainDelay = drain, delay })
	f.awaitServing()
	l.load = startLoad(t, 4, l.data, "/users", fileKey)
	l.load2 = startHTTP2Load(t, 4, l.data, "/users", fileKey)
	l.stream, l.events = l.open("/users/stream", "", http.StatusOK)
	l.events2 = events(t, overHTTP2(t), "http://"+l.data.public+"/users/stream", fileKey)
	l.socket, _ = l.open("/users/socket", upgrade, http.StatusSwitchingProtocols)
	first := make([]byte, len(firstEvent))
	if _, err := io.ReadFull(l.events, first); err != nil || string(first) != firstEvent {
		t.Fatalf("stream begins %q, %v, want %q", first, err, firstEvent)
	}
	l.echo("before")
	f.awaitLoad(l.load)
	f.awaitLoad(l.load2)
	return l
}

// open asks on a connection of its own and returns it with the body of the answer, of which only the head has to be there.
func (l *leaveTaking) open(path, header string, status int) (*client, io.Reader) {
	l.t.Helper()
	c, err := dial(l.data.public)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.close)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		l.t.Fatal(err)
	}
	if err := c.send(path, fileKey, header); err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		c.close() // the body would be read to its end first
		_ = resp.Body.Close()
	})
	if resp.StatusCode != status {
		l.t.Fatalf("%s = %d, want %d", path, resp.StatusCode, status)
	}
	return c, resp.Body
}

// leave tells the data plane to end; clients whose connection it ends do not come back.
func (l *leaveTaking) leave() {
	close(l.load.leaving)
	close(l.load2.leaving)
	l.data.stop()
}

// echo says something into the WebSocket and hears it again.
func (l *leaveTaking) echo(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.socket.conn, text+"\n"); err != nil {
		l.t.Fatal(err)
	}
	if got, err := l.socket.reader.ReadString('\n'); err != nil || got != text+"\n" {
		l.t.Fatalf("WebSocket sends %q back, %v, want %q", got, err, text)
	}
}

// A data plane that is told to end is not ready first, goes on accepting for the delay, and loses nothing.
func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	l := startLeaveTaking(t, patience, 2*time.Second)
	idle, err := dial(l.data.public)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.close()
	if status, last, err := idle.get("/users", fileKey); status != http.StatusOK || last || err != nil {
		t.Fatalf("a request before = %d, last %v, %v, want 200", status, last, err)
	}
	l.leave()
	l.await("/readyz to be 503", func() bool {
		a, err := l.try(l.data.admin, "/readyz", "")
		return err == nil && a.status == http.StatusServiceUnavailable
	})
	late, err := dial(l.data.public)
	if err != nil {
		t.Fatalf("a new connection within the drain delay: %v", err)
	}
	defer late.close()
	if status, last, err := late.get("/users", fileKey); status != http.StatusOK || !last || err != nil {
		t.Errorf("a request within the drain delay = %d, last %v, %v, want 200 and the end of the connection", status, last, err)
	}
	l.echo("while it drains")
	l.await("the port to be closed", func() bool {
		c, err := dial(l.data.public)
		c.close()
		return err != nil
	})
	if status, last, err := idle.get("/users", fileKey); status != http.StatusOK || !last || err != nil {
		t.Errorf("a request on an idle connection = %d, last %v, %v, want 200 and the end of the connection", status, last, err)
	}
	idle.close()
	close(l.backend.release)
	for version, stream := range map[string]io.Reader{"HTTP/1.1": l.events, "HTTP/2": l.events2} {
		if rest, err := io.ReadAll(stream); err != nil || string(rest) != lastEvent {
			t.Errorf("the stream over %s ends with %q, %v, want %q and a clean end", version, rest, err, lastEvent)
		}
	}
	l.stream.close()
	echoes := 0
	l.await("the WebSocket to go on alone", func() bool {
		l.echo("still here")
		echoes++
		return echoes == 50
	})
	l.socket.close()
	l.awaitEnd(l.data)
	if code := exited(t, l.data); code != 0 {
		t.Errorf("exit status = %d, want 0", code)
	}
	endLoad(t, l.load)
	endLoad(t, l.load2)
	if log := l.data.log.String(); !strings.Contains(log, "msg=drained") || strings.Contains(log, "cut what was left") {
		t.Errorf("nothing was to be cut; log:\n%s", l.data.log.tail())
	}
}

var cutOff = regexp.MustCompile(`cut what was left" requests=(\d+) tunnels=(\d+)`)

// What is still open at the end of the drain is cut and counted, and nothing else fails.
func TestShutdownCutsWhatIsLeft(t *testing.T) {
	t.Parallel()
	l := startLeaveTaking(t, time.Second, 0)
	l.leave()
	l.awaitEnd(l.data)
	if code := exited(t, l.data); code != 0 {
		t.Errorf("exit status = %d, want 0", code)
	}
	for version, stream := range map[string]io.Reader{"HTTP/1.1": l.events, "HTTP/2": l.events2} {
		if rest, err := io.ReadAll(stream); err == nil {
			t.Errorf("the stream over %s that was cut ends cleanly, after %q", version, rest)
		}
	}
	if _, err := l.socket.reader.ReadByte(); err == nil {
		t.Error("the WebSocket that was cut goes on")
	}
	endLoad(t, l.load)
	endLoad(t, l.load2)
	counted := cutOff.FindStringSubmatch(l.data.log.String())
	if counted == nil || counted[1] != "2" || counted[2] != "1" {
		t.Errorf("counted %q, want the streams as requests and the WebSocket as a tunnel; log:\n%s", counted, l.data.log.tail())
	}
}

// A data plane that stands still delays only itself: the others' proof does not wait, and who waits for all is told who lags.
func TestStoppedDataPlaneHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.startControl()
	a, b := f.startData("a"), f.startData("b")
	f.awaitServing()
	f.signal(b, syscall.SIGSTOP)
	secret, revision := f.addKey("alice")
	got := f.prove(revision, false, time.Second).GetRollout()
	f.signal(b, syscall.SIGCONT)
	if applied, lagging := got.GetApplied(), got.GetLagging(); len(applied) != 1 || applied[0].GetDataplane() != "a" ||
		len(lagging) != 1 || lagging[0].GetDataplane() != "b" || lagging[0].GetRevision() >= revision {
		t.Errorf("rollout = %v, want it applied on a and b lagging", got)
	}
	f.expect(a, "/users", secret, answer{status: http.StatusOK})
	f.expectProof(f.prove(revision, false, patience), "a", "b")
	f.expect(b, "/users", secret, answer{status: http.StatusOK})
}
