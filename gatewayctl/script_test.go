package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script for something that has to happen.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(withServers{m}, map[string]func(){"gatewayctl": main})
}

// withServers builds both servers into a folder on the PATH before any test runs.
type withServers struct{ m *testing.M }

func (w withServers) Run() int {
	dir, err := os.MkdirTemp("", "gatewayctl-servers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.Command("go", "build", "-o", dir, "apigateway/controlplane", "apigateway/dataplane")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return w.m.Run()
}

// TestScripts runs testdata/script against real servers on ports of their own. Commands beside testscript's:
//
//	controlplane            start one on gateway.yaml and aim gatewayctl at it
//	dataplane ID            start one that serves; its address is in $ID
//	down NAME               end one of them (controlplane, or the id of a data plane)
//	request STATUS URL KEY  GET with a key, check the status
//	exits CODE COMMAND...   run a command, check its exit code
//	interrupt CODE COMMAND... the same, with SIGINT after its first line
//	eventually REGEXP COMMAND... run a command again until its output matches: states are reported, not asked for
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			f := fleet{}
			env.Values[fleetKey{}] = f
			env.Defer(f.stopAll)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each command otherwise
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"controlplane": controlplane,
			"dataplane":    dataplane,
			"down":         down,
			"request":      request,
			"exits":        exits,
			"interrupt":    interrupt,
			"eventually":   eventually,
		},
	})
}

// fleet are the servers of one script by name.
type fleet map[string]*server

type fleetKey struct{}

func (f fleet) stopAll() {
	for _, s := range f {
		s.stop()
	}
}

// start runs a server that logs JSON until it is said in the log, under msg, that it is ready. It returns the attribute
// attr of that line.
func (f fleet) start(ts *testscript.TestScript, name string, until logLine, command ...string) string {
	s := &server{cmd: exec.Command(command[0], append(command[1:], "--log-format", "json")...), done: make(chan struct{})}
	s.cmd.Dir = ts.MkAbs(".")
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	f[name] = s
	ready := make(chan string, 1)
	go s.read(stderr, until, ready)
	select {
	case value := <-ready:
		return value
	case <-s.done:
		ts.Fatalf("%s ended:\n%s", name, s.text())
	case <-time.After(patience):
		ts.Fatalf("%s is not ready after %v:\n%s", name, patience, s.text())
	}
	return ""
}

// server is a process and what it logged.
type server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at the end of its log

	mu  sync.Mutex
	log bytes.Buffer
}

// logLine is one line of a log and the attribute of it that matters.
type logLine struct{ msg, attr string }

func (s *server) read(stderr io.Reader, until logLine, ready chan<- string) {
	defer close(s.done)
	for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
		s.mu.Lock()
		s.log.Write(append(scanner.Bytes(), '\n'))
		s.mu.Unlock()
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line["msg"] == until.msg {
			select {
			case ready <- fmt.Sprint(line[until.attr]):
			default: // said before
			}
		}
	}
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop ends the process and waits for it. It may be called twice.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	<-s.done
	_ = s.cmd.Wait()
}

func controlplane(ts *testscript.TestScript, _ bool, _ []string) {
	address := ts.Value(fleetKey{}).(fleet).start(ts, "controlplane", logLine{"control plane started", "grpc"},
		"controlplane", "--config", "gateway.yaml", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
	ts.Setenv("GATEWAYCTL_SERVER", address)
}

func dataplane(ts *testscript.TestScript, _ bool, args []string) {
	id := args[0]
	address := ts.Value(fleetKey{}).(fleet).start(ts, id, logLine{"serving", "http"}, "dataplane", "--id", id, "--drain", "1s",
		"--controlplane", ts.Getenv("GATEWAYCTL_SERVER"), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	ts.Setenv(id, address)
}

func down(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(fleetKey{}).(fleet)[args[0]].stop()
}

func request(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[1], nil)
	ts.Check(err)
	r.Header.Set("X-Api-Key", args[2])
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if got := strconv.Itoa(resp.StatusCode); got != args[0] {
		ts.Fatalf("GET %s with key %s: got %s (want %s)", args[1], args[2], got, args[0])
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	if got := exitCode(ts.Exec(args[1], args[2:]...)); got != args[0] {
		ts.Fatalf("%q: got exit code %s (want %s)\n%s%s", args[1:], got, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Env = append(os.Environ(), "GATEWAYCTL_SERVER="+ts.Getenv("GATEWAYCTL_SERVER"))
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	reader := bufio.NewReader(stdout)
	_, err = reader.ReadString('\n')
	ts.Check(err)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, reader)
	ts.Check(err)
	if got := exitCode(cmd.Wait()); got != args[0] {
		ts.Fatalf("%q: got exit code %s after SIGINT (want %s)", args[1:], got, args[0])
	}
}

func eventually(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			ts.Fatalf("%q: no match for %s after %v", args[1:], want, patience)
		}
	}
}

func exitCode(err error) string {
	if err == nil {
		return "0"
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}
