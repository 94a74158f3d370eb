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
	"sync"
	"testing"

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
		if left := descriptors() - before; left > 0 && code == 0 {
			fmt.Fprintf(os.Stderr, "%d more open files than before the tests\n", left)
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

// descriptors counts open files where /proc tells; elsewhere it is always 0. The first use of the network opens some that stay.
func descriptors() int {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	return len(open)
}
