//go:build system

package configs

import (
	"bytes"
	"os/exec"
	"testing"
)

// slowAttacks are slowhttptest's, each for 15 s with 1,000 connections. Heads and bodies are so slow that they are refused after 10 s.
var slowAttacks = []struct {
	name    string
	args    []string
	refused string // series that counts them; "": none is
}{
	{"headers", []string{"-H", "-i", "2", "-x", "8"}, `gateway_refused_total{code="request_timeout",service=""}`},
	{"body", []string{"-B", "-i", "2", "-x", "8", "-s", "100000", "-t", "POST"}, `gateway_refused_total{code="request_timeout",service="open"}`},
	{"read", []string{"-X", "-w", "1", "-y", "64", "-n", "2", "-z", "8", "-k", "3"}, ""},
}

// TestSlowClients has a thousand clients send or read as slowly as they can while others do their work: none of those fails, and when the slow
// ones have gone the data plane has the goroutines and descriptors that it began with.
func TestSlowClients(t *testing.T) {
	tool, err := exec.LookPath("slowhttptest")
	if err != nil {
		t.Fatalf("slowhttptest is not installed (apt-get install slowhttptest): %v", err)
	}
	f := newProcesses(t)
	b := newBackend(t, "backend-1")
	f.write("transport: {idle_timeout: 1s}\n" + configuration(service("users", guarded, unlimited, b), service("open", "", "", b)))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	for _, attack := range slowAttacks {
		t.Run(attack.name, func(t *testing.T) {
			before := f.footprint(p)
			l := startLoad(t, 4, p, "/users", fileKey)
			args := append([]string{"-c", "1000", "-r", "500", "-l", "15", "-p", "5", "-u", "http://" + p.public + "/open/large"}, attack.args...)
			out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
			if err != nil {
				t.Errorf("slowhttptest: %v\n%s", err, out)
			}
			endLoad(t, l)
			t.Logf("%d requests of others were answered", l.count())
			if bytes.Contains(out, []byte("service available:   NO")) || !bytes.Contains(out, []byte("Exit status")) {
				t.Errorf("slowhttptest made the service unavailable, or did not come to its end:\n%s", out)
			}
			if n := f.metrics(p)[attack.refused]; attack.refused != "" && n < 100 {
				t.Errorf("%s = %v, want most of them refused", attack.refused, n)
			}
			f.awaitFootprint(p, before)
		})
	}
}
