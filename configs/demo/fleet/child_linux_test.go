package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A launcher that is killed outright takes its processes along.
func TestKilledLauncherLeavesNothing(t *testing.T) {
	s := newStage(t, "")
	t.Setenv(envLauncher, "1")
	screen := newTerminal()
	cmd := exec.Command(filepath.Join(s.opts.bin, "fleet"),
		"--bin", s.opts.bin, "--backend-ports", s.opts.backends.String(), "--proxy-ports", s.opts.proxies.String(),
		"--admin-ports", s.opts.admins.String(), "--controlplane-grpc", s.opts.grpc, "--controlplane-http", s.opts.http)
	cmd.Stdout, cmd.Stderr = screen, os.Stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen.await(t, "Ctrl-C stops everything")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for _, addr := range []string{local(s.opts.backends[0]), s.opts.http, local(s.opts.admins[0]), local(s.opts.admins[1])} {
		for isOpen(addr) {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s is still open", addr)
			}
		}
	}
}

func isOpen(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
