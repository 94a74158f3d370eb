package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// bed is where one scenario is measured: cores, and backends that run.
type bed struct {
	scenario
	bin, dir string
	on       cores
	keys     []apiKey
	urls     []string // addresses of the backends
	counter  string   // address that tells what the backends moved
	reached  func() uint64
	certs    certificate // with tls
	perSec   float64     // rate that every proxy is driven at; 0: as fast as it can
	targets  []*target
	stops    []func() error // of all that was started, in that order
}

// key is the one that all requests carry.
func (b *bed) key() string { return b.keys[len(b.keys)/2].Secret }

// base is the URL of a proxy, without a path.
func (b *bed) base(t *target) string {
	if b.tls {
		return "https://" + t.address
	}
	return "http://" + t.address
}

// start returns when every proxy does the work that is compared.
func (b *bed) start(ctx context.Context, rivals []contestant) error {
	if err := b.backends(ctx, b); err != nil {
		return err
	}
	addresses, err := freeAddresses(len(rivals))
	if err != nil {
		return err
	}
	p := place{
		Backends: b.urls, Cores: b.cores, Dir: b.dir, Keys: b.keys, KeyMap: filepath.Join(b.dir, "keys.map"), Limit: limit,
		Connections: b.connections + spareConnections, Root: os.Geteuid() == 0, Body: b.body, Open: b.open,
	}
	if b.tls {
		if b.certs, err = makeCertificate(b.dir, time.Now()); err != nil {
			return err
		}
		p.Cert, p.Key, p.Both = b.certs.cert, b.certs.key, b.certs.both
	}
	for _, name := range []string{"keys.map", "upload.lua"} {
		if _, err := p.write(name); err != nil {
			return err
		}
	}
	for i, c := range rivals {
		p.Listen = addresses[i]
		if err := c.start(b, c.name, p); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for _, t := range b.targets {
		if err := t.process.await(ctx, func() error { return b.ready(ctx, b, b.base(t)) }); err != nil {
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

// plainBackends runs this program once more. It ends when its standard input does, so that none outlives us.
func plainBackends(ctx context.Context, b *bed) error {
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
		b.urls, b.counter = fields[:2], fields[2]
		return nil
	})
}

// lenientBackend is one that tells what a proxy lets through, in this process.
func lenientBackend(ctx context.Context, b *bed) error {
	w, err := newWitness()
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error { return w.serve(serving) })
	b.stops = append(b.stops, func() error {
		cancel()
		return group.Wait()
	})
	b.urls, b.reached = []string{w.address()}, w.reached.Load
	return nil
}
