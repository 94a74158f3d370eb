// Package configs tests the whole system: it boots both planes with each sample and keeps the gateway's promises end to end, in this
// process where that is enough and with the built programs where one has to be killed, stopped or terminated.
//
// `go test -tags=system ./configs` (make system) runs the long forms, more reloads and more crashes, and has a real Prometheus scrape the fleet.
package configs

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain looks for what the tests of this process left behind: goroutines, open files.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "gateway-system-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = sync.OnceValues(func() (string, error) { return folder, build(folder) })
	before := descriptors()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if left := leftOpen(before); len(left) > 0 && code == 0 {
			fmt.Fprintf(os.Stderr, "open files that were not before the tests: %q\n", left)
			code = 1
		}
		if err := os.RemoveAll(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}))
}

// programs builds the three programs and the sample of own middleware once and returns their folder.
var programs func() (folder string, err error)

// build compiles like the test itself: with the race detector or without.
func build(folder string) error {
	args := []string{"build", "-o", folder}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./controlplane", "./dataplane", "./gatewayctl", "./configs/demo/middleware")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// descriptors lists open files where /proc tells, each with its number; elsewhere there are none. The first use of the network opens some
// that stay.
func descriptors() map[string]bool {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	paths, _ := filepath.Glob("/proc/self/fd/*")
	open := make(map[string]bool, len(paths))
	for _, path := range paths {
		if to, err := os.Readlink(path); err == nil { // the folder itself is closed by now
			open[filepath.Base(path)+" "+to] = true
		}
	}
	return open
}

// leftOpen lists what is open and was not before. The library keeps pipes for splice until they are collected as garbage.
func leftOpen(before map[string]bool) (left []string) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for range 100 {
		runtime.GC()
		left = nil
		for file := range descriptors() {
			if !before[file] {
				left = append(left, file)
			}
		}
		if len(left) == 0 {
			break
		}
		<-tick.C
	}
	return left
}
