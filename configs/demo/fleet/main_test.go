package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// Environment of the test binary when it plays another program.
const (
	envJournal  = "FLEET_TEST_JOURNAL"  // file that fakes write "up NAME" and "down NAME" to; its presence makes a fake
	envBehave   = "FLEET_TEST_BEHAVE"   // "dataplane:deaf": how the program of that name misbehaves
	envLauncher = "FLEET_TEST_LAUNCHER" // set: play the fleet itself
)

func TestMain(m *testing.M) {
	if os.Getenv(envLauncher) != "" && filepath.Base(os.Args[0]) == "fleet" {
		main()
	}
	if journal := os.Getenv(envJournal); journal != "" {
		os.Exit(fake(journal, filepath.Base(os.Args[0]), os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// fake stands in for backend, controlplane and dataplane: it answers 200 on the address that the fleet asks until it is
// told to end.
func fake(journal, program string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet(program, flag.ExitOnError)
	values := map[string]*string{}
	for _, name := range []string{
		"port", "name", "config", "store", "grpc", "http", "log-level", "controlplane", "listen", "admin", "drain",
	} {
		values[name] = flags.String(name, "", "")
	}
	_ = flags.Parse(args)
	name, addr := program+*values["listen"], *values["http"]+*values["admin"]
	if program == "backend" {
		name, addr = *values["name"], "127.0.0.1:"+*values["port"]
	}
	behave := strings.TrimPrefix(os.Getenv(envBehave), program+":")
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	note(journal, "up "+name)
	defer note(journal, "down "+name)
	return behaveAs(ctx, behave, ln)
}

func behaveAs(ctx context.Context, behave string, ln net.Listener) int {
	status, ending := http.StatusOK, make(chan struct{})
	switch behave {
	case "unready":
		status = http.StatusServiceUnavailable
	case "deaf":
		ctx = context.WithoutCancel(ctx)
	case "broken":
		fmt.Println("this is why")
		return 1
	}
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fail" {
				fmt.Println("asked to fail")
				close(ending)
			}
			w.WriteHeader(status)
		}))
	}()
	select {
	case <-ctx.Done():
		return 0
	case <-ending:
		return 7
	}
}

func note(journal, text string) {
	f, err := os.OpenFile(journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.WriteString(f, text+"\n")
	}
	if err != nil {
		panic(err)
	}
	_ = f.Close()
}
