// Package control is the control plane as a whole: it opens the store, takes the configuration file up, and serves data planes,
// operators and scrapers until its context ends.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/filewatch"
	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/grpcapi"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/reload"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt"
)

// stores are the kinds of store that --store can name.
var stores = map[string]store.Opener{"bolt": bolt.Open}

// Options configure a control plane.
type Options struct {
	Config   string // path of the configuration file
	GRPC     string // address for data planes and gatewayctl
	HTTP     string // address for health, metrics and profiles
	Store    string // URL of the store, as bolt:PATH
	Adopt    bool   // take over data planes that followed another store
	Insecure bool   // serve gRPC in plaintext beyond loopback
	Version  string
	Log      *slog.Logger      // nil: discarded
	Reload   <-chan struct{}   // read the file now; nil: only when it changes
	Started  func(a Addresses) // called once everything listens; nil: nobody asks
}

// Addresses are those that a control plane listens on.
type Addresses struct{ GRPC, HTTP string }

// Run serves until ctx ends, and then returns nil. A bad configuration file at the start is config.Mistakes within the error.
func Run(ctx context.Context, opts Options) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	path, err := filepath.Abs(opts.Config)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	opts.Config = path
	listeners, err := listen(opts)
	if err != nil {
		return err
	}
	defer listeners.close()
	st, err := store.Open(opts.Store, stores)
	if err != nil {
		return err
	}
	err = serve(ctx, opts, st, listeners)
	return errors.Join(err, st.Close())
}

// plane is a control plane whose parts are made and know each other.
type plane struct {
	publisher *publish.Publisher
	file      *reload.File
	keys      *keystore.Keystore
	fleet     *fleet.Fleet
	watch     *filewatch.Watcher
}

func serve(ctx context.Context, opts Options, st store.Store, listeners *listeners) error {
	publisher, err := publish.New(ctx, st, opts.Log)
	if err != nil {
		return err
	}
	defer publisher.Close()
	p := &plane{publisher: publisher, file: reload.New(opts.Config, publisher, opts.Log)}
	p.watch, err = filewatch.New(opts.Config, filewatch.Options{MaxSize: config.MaxBytes, OnError: func(err error) {
		opts.Log.Error("configuration file cannot be read, the configuration stays in force", "err", err)
	}})
	if err != nil {
		return err
	}
	if err := p.file.Load(ctx, p.watch.Content()); err != nil {
		return err
	}
	p.keys = keystore.New(publisher, st, keystore.Options{FileKeys: p.file, Log: opts.Log})
	if p.fleet, err = fleet.New(ctx, st, opts.Log, nil); err != nil {
		return err
	}
	return p.run(ctx, opts, listeners)
}

// run starts every goroutine and ends them in order: streams first, so that nothing arrives any more, then what they fed.
func (p *plane) run(ctx context.Context, opts Options, l *listeners) error {
	grpcServer := grpcapi.New(grpcapi.Deps{
		Publisher: p.publisher, Keys: p.keys, Fleet: p.fleet, Config: p.file, Log: opts.Log, AdoptAll: opts.Adopt,
	}, grpc.ConnectionTimeout(connectionTimeout))
	admin := newAdmin(p)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return grpcServer.Serve(l.grpc) })
	g.Go(func() error { return ignoreClosed(admin.Serve(l.http)) })
	g.Go(func() error { return p.fleet.Run(ctx) })
	g.Go(func() error { return p.keys.Run(ctx) })
	g.Go(func() error { return p.reloads(ctx, opts) })
	g.Go(func() error {
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
