// Package control is the control plane as a whole: it opens the store, takes the configuration file up, and serves data planes,
// operators and scrapers until its context ends.
package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/filewatch"
	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/grpcapi"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/reload"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt"
	"apigateway/proto/mtls"
)

// stores are the kinds of store that --store can name.
var stores = map[string]store.Opener{"bolt": bolt.Open}

// Options configure a control plane.
type Options struct {
	Config   string     // path of the configuration file
	GRPC     string     // address for data planes and gatewayctl
	HTTP     string     // address for health, metrics and profiles
	Store    string     // URL of the store, as bolt:PATH
	Adopt    bool       // take over data planes that followed another store
	TLS      mtls.Files // of gRPC; none: plaintext
	Insecure bool       // serve gRPC in plaintext beyond loopback
	Version  string
	Log      *slog.Logger      // nil: discarded
	Reload   <-chan struct{}   // read the file now; nil: only when it changes
	Started  func(a Addresses) // called once everything listens; nil: nobody asks
}

// Addresses are those that a control plane listens on.
type Addresses struct{ GRPC, HTTP string }

// Run serves until ctx ends, and then returns nil. A bad configuration file at the start is config.Mistakes within the error.
func Run(ctx context.Context, opts Options) error {
	if err := opts.settle(); err != nil {
		return err
	}
	p := &plane{}
	if err := p.readFile(opts); err != nil {
		return err
	}
	listeners, err := listen(opts)
	if err != nil {
		return err
	}
	defer listeners.close()
	st, err := store.Open(opts.Store, stores) // behind the file: one with mistakes leaves no empty store
	if err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	err = p.serve(ctx, opts, st, listeners)
	return errors.Join(err, st.Close())
}

// settle fills in what is not given and makes paths full, as they are logged and shown.
func (o *Options) settle() (err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Config, err = filepath.Abs(o.Config); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if path, ok := strings.CutPrefix(o.Store, "bolt:"); ok && path != "" {
		if path, err = filepath.Abs(strings.TrimPrefix(path, "//")); err != nil {
			return fmt.Errorf("--store: %w", err)
		}
		o.Store = "bolt:" + path
	}
	return nil
}

// plane is a control plane whose parts are made and know each other.
type plane struct {
	publisher *publish.Publisher
	file      *reload.File
	keys      *keystore.Keystore
	fleet     *fleet.Fleet
	watch     *filewatch.Watcher
	content   *reload.Content // of the file at the start; nil once it is in force
}

// readFile reads and checks the configuration file by itself.
func (p *plane) readFile(opts Options) (err error) {
	p.watch, err = filewatch.New(opts.Config, filewatch.Options{MaxSize: config.MaxBytes, OnError: func(err error) {
		p.file.Unreadable(err)
		if err != nil {
			opts.Log.Error("configuration file cannot be read, the configuration stays in force", "err", err)
		} else {
			opts.Log.Info("configuration file can be read again")
		}
	}})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--config: no such file, got %s (want the configuration file: --config FILE, or FILE alone)", opts.Config)
	} else if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	p.content, err = reload.Parse(opts.Config, p.watch.Content())
	return err
}

func (p *plane) serve(ctx context.Context, opts Options, st store.Store, listeners *listeners) (err error) {
	if p.publisher, err = publish.New(ctx, st, opts.Log); err != nil {
		return err
	}
	defer p.publisher.Close()
	if err := p.assemble(ctx, opts, st); err != nil {
		return err
	}
	return p.run(ctx, opts, listeners)
}

// assemble makes the other parts and puts the configuration in force.
func (p *plane) assemble(ctx context.Context, opts Options, st store.Store) (err error) {
	p.file = reload.New(opts.Config, p.publisher, opts.Log)
	if err := p.file.Take(ctx, p.content); err != nil {
		return err
	}
	p.content = nil
	p.keys = keystore.New(p.publisher, st, keystore.Options{FileKeys: p.file, Log: opts.Log})
	p.fleet, err = fleet.New(ctx, st, opts.Log, nil)
	return err
}

// run starts every goroutine and ends them in order: streams first, so that nothing arrives any more, then what keeps what they
// brought.
func (p *plane) run(ctx context.Context, opts Options, l *listeners) error {
	grpcServer := grpcapi.New(grpcapi.Deps{
		Publisher: p.publisher, Keys: p.keys, Fleet: p.fleet, Config: p.file, Log: opts.Log, AdoptAll: opts.Adopt,
	}, l.options...)
	admin := newAdmin(p)
	g, ctx := errgroup.WithContext(ctx)
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return p.fleet.Run(keeping) })
	g.Go(func() error { return p.keys.Run(keeping) })
	g.Go(func() error { return grpcServer.Serve(l.grpc) })
	g.Go(func() error { return ignoreClosed(admin.Serve(l.http)) })
	g.Go(func() error { return p.reloads(ctx, opts) })
	g.Go(func() error {
		defer stopKeeping()
		<-ctx.Done()
		grpcServer.Stop()
		return admin.Close()
	})
	opts.Log.Info("control plane started", "version", opts.Version, "grpc", l.grpc.Addr().String(), "http", l.http.Addr().String(),
		"config", opts.Config, "store", opts.Store, "epoch", p.publisher.State().Epoch)
	if opts.Started != nil {
		opts.Started(Addresses{GRPC: l.grpc.Addr().String(), HTTP: l.http.Addr().String()})
	}
	return g.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
