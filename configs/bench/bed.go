package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bed is where one scenario is measured: cores, and backends that run.
type bed struct {
	scenario
	bin, dir string
	on       cores
	keys     []apiKey
	backends []string
	counter  string // address that tells what the backends moved
	targets  []*target
	stops    []func() error // of all that was started, in that order
}

// key is the one that all requests carry.
func (b *bed) key() string { return b.keys[len(b.keys)/2].Secret }

// checkPrograms names what is missing before anything starts.
func checkPrograms(bin string) error {
	var errs []error
	for _, program := range []string{"taskset", "wrk", "haproxy", "nginx", filepath.Join(bin, "controlplane"), filepath.Join(bin, "dataplane")} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// start returns when every proxy does the work that is compared.
func (b *bed) start(ctx context.Context) error {
	if err := b.startBackends(ctx); err != nil {
		return err
	}
	addresses, err := freeAddresses(len(contestants))
	if err != nil {
		return err
	}
	p := place{
		Backends: b.backends, Cores: b.cores, Dir: b.dir, Keys: b.keys, KeyMap: filepath.Join(b.dir, "keys.map"),
		Limit: limit, Root: os.Geteuid() == 0, Body: b.body,
	}
	for _, name := range []string{"keys.map", "upload.lua"} {
		if _, err := p.write(name); err != nil {
			return err
		}
	}
	for i, c := range contestants {
		p.Listen = addresses[i]
		if err := c.start(b, c.name, p); err != nil {
			return err
		}
	}
	for _, t := range b.targets {
		if err := t.process.await(ctx, func() error { return check(ctx, "http://"+t.address, b.key()) }); err != nil {
			return err
		}
	}
	return nil
}

// stop ends what was started, the last first.
func (b *bed) stop() error {
	var err error
	for i := range b.stops {
		err = errors.Join(err, b.stops[len(b.stops)-1-i]())
	}
	return err
}

// launch starts a process that ends with the bed.
func (b *bed) launch(l launch) (*process, error) {
	p, err := l.start()
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, p.stop)
	return p, nil
}

// startBackends runs this program once more. It ends when its standard input does, so that none outlives us.
func (b *bed) startBackends(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	alive, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	b.stops = append(b.stops, hold.Close, alive.Close)
	p, err := b.launch(launch{
		name: "backends", cores: b.on.load, dir: b.dir, stdin: alive,
		env: []string{fmt.Sprint("GOMAXPROCS=", min(len(b.on.load), 4))}, argv: []string{self, backendCommand},
	})
	if err != nil {
		return err
	}
	return p.await(ctx, func() error {
		fields := strings.Fields(p.said())
		if len(fields) != 3 {
			return fmt.Errorf("backends: got %q (want three addresses)", fields)
		}
		b.backends, b.counter = fields[:2], fields[2]
		return nil
	})
}
