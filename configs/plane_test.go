package configs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"apigateway/controlplane/control"
	"apigateway/dataplane/proxy"
)

// plane is a control plane or a data plane that runs or has run.
type plane struct {
	name          string
	public, admin string // addresses; a control plane has admin only
	log           *logged
	stop          func()        // asks it to end
	process       *os.Process   // nil: in this process
	ended         chan struct{} // closed once it has
	err           error         // how; valid then
}

// startControl starts the control plane, or starts it again where it was, and returns when it is ready.
func (f *fleet) startControl() *plane {
	f.t.Helper()
	p := &plane{name: "control plane", admin: f.http, log: new(logged), ended: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(f.store), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if f.spawn {
		f.exec(p, "controlplane", "--config", f.config, "--grpc", f.grpc, "--http", f.http, "--store", "bolt:"+f.store)
	} else {
		opts := control.Options{
			Config: f.config, GRPC: f.grpc, HTTP: f.http, Store: "bolt:" + f.store, Version: "test", Reload: f.reload,
			Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: f.level})),
		}
		f.run(p, func(ctx context.Context) error { return control.Run(ctx, opts) })
	}
	f.awaitReady(p)
	return p
}

// startData starts a data plane and returns when it is ready. edit changes its options before.
func (f *fleet) startData(id string, edit ...func(*proxy.Options)) *plane {
	f.t.Helper()
	p := f.launchData(id, edit...)
	f.awaitReady(p)
	return p
}

// launchData starts a data plane and waits for nothing.
func (f *fleet) launchData(id string, edit ...func(*proxy.Options)) *plane {
	f.t.Helper()
	p := &plane{name: id, log: new(logged), ended: make(chan struct{})}
	opts := proxy.Options{
		ControlPlanes: []string{f.grpc}, Listen: freeAddress(f.t), Admin: freeAddress(f.t), ID: id, Cache: filepath.Join(f.dir, "cache-"+id),
		Drain: time.Second, Version: "test", Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: f.level})),
	}
	for _, e := range edit {
		e(&opts)
	}
	p.public, p.admin = opts.Listen, opts.Admin
	if f.spawn {
		f.exec(p, "dataplane", "--controlplane", strings.Join(opts.ControlPlanes, ","), "--listen", opts.Listen, "--admin", opts.Admin, "--id", id, "--cache", opts.Cache,
			"--drain", opts.Drain.String(), "--drain-delay", opts.DrainDelay.String(), fmt.Sprintf("--replace=%v", opts.Replace))
	} else {
		f.run(p, func(ctx context.Context) error { return proxy.Run(ctx, opts) })
	}
	return p
}

// at places a data plane where another one was.
func at(p *plane) func(*proxy.Options) {
	return func(o *proxy.Options) { o.Listen, o.Admin = p.public, p.admin }
}

// run starts a plane in this process.
func (f *fleet) run(p *plane, serve func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.t.Context()))
	p.stop = cancel
	go func() {
		defer close(p.ended)
		p.err = serve(ctx)
	}()
	f.own(p)
}

// exec starts a plane as a process of its own.
func (f *fleet) exec(p *plane, program string, args ...string) {
	f.t.Helper()
	folder, err := programs()
	if err != nil {
		f.t.Fatal(err)
	}
	if f.tls.Given() {
		args = append(args, tlsFlags(f.tls)...)
	}
	f.launch(p, exec.Command(filepath.Join(folder, program), append(args, "--log-level", f.level.String())...))
}

// launch starts any program that ends by SIGTERM.
func (f *fleet) launch(p *plane, cmd *exec.Cmd) {
	f.t.Helper()
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	p.process = cmd.Process
	p.stop = func() { _ = p.process.Signal(syscall.SIGTERM) } // it may have ended
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	f.own(p)
}

// own ends the plane with the test; what it did not survive fails the test.
func (f *fleet) own(p *plane) {
	f.started = append(f.started, p)
	f.t.Cleanup(func() {
		f.client.CloseIdleConnections()
		f.end(p)
		if f.t.Failed() {
			f.t.Logf("%s:\n%s", p.name, p.log.tail())
		}
	})
}

// end asks a plane to end and waits for it. One that has ended before was asked or killed by the test.
func (f *fleet) end(p *plane) {
	f.t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	p.stop()
	f.awaitEnd(p)
	if p.err != nil {
		f.t.Errorf("%s ended: %v", p.name, p.err)
	}
}

// kill ends a process without a chance to do anything.
func (f *fleet) kill(p *plane) {
	f.t.Helper()
	f.signal(p, syscall.SIGKILL)
	f.awaitEnd(p)
}

func (f *fleet) signal(p *plane, s syscall.Signal) {
	f.t.Helper()
	if err := p.process.Signal(s); err != nil {
		f.t.Fatalf("%s: %v", p.name, err)
	}
}

func (f *fleet) awaitEnd(p *plane) {
	f.t.Helper()
	late := time.NewTimer(2 * patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		if p.process != nil {
			_ = p.process.Kill()
		}
		f.t.Fatalf("%s does not end", p.name)
	}
}

// awaitReady returns when /readyz says so.
func (f *fleet) awaitReady(p *plane) {
	f.t.Helper()
	f.await(p.name+" to be ready", func() bool {
		select {
		case <-p.ended:
			f.t.Fatalf("%s ended: %v\n%s", p.name, p.err, p.log.tail())
		default:
		}
		a, err := f.try(p.admin, "/readyz", "")
		return err == nil && a.status == 200
	})
}

// exited reports the exit status of a process that has ended.
func exited(t *testing.T, p *plane) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode()
	}
	if p.err != nil {
		t.Fatalf("%s: %v", p.name, p.err)
	}
	return 0
}
