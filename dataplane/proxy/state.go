package proxy

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/configsync"
	"apigateway/proto/mtls"
)

// openState opens the cache and takes in what is there.
func (p *plane) openState() error {
	creds, err := p.credentials()
	if err != nil {
		return err
	}
	if p.dir, err = p.openCache(); err != nil {
		return err
	}
	p.sync, err = configsync.New(configsync.Options{
		Addresses: p.opts.ControlPlanes, Credentials: creds, ID: p.opts.ID, Version: p.opts.Version, Address: p.address.get,
		Keys: p.keys, Live: p.live, Holder: p.holder, Cache: p.dir, Log: p.log, Meters: p.meters,
	})
	return err
}

// credentials are those of gRPC; nil: plaintext.
func (p *plane) credentials() (credentials.TransportCredentials, error) {
	if !p.opts.TLS.Given() {
		return nil, nil
	}
	return mtls.Client(p.opts.TLS, p.log)
}

func (p *plane) openCache() (*cache.Dir, error) {
	if p.opts.Cache == "off" {
		return nil, nil
	}
	dir, err := cache.Open(p.opts.Cache)
	if errors.Is(err, cache.ErrLocked) {
		return nil, fmt.Errorf("--cache: %w (want another --id or --cache, or --replace to take over from one that serves)", err)
	}
	if err != nil {
		p.log.Warn("cache cannot be used, goes on without: a restart needs the control plane", "cache", p.opts.Cache, "err", err)
		return nil, nil
	}
	return dir, nil
}

// closeCache lets go of the cache, if there is one.
func (p *plane) closeCache() error {
	if p.dir == nil {
		return nil
	}
	dir := p.dir
	p.dir = nil
	return dir.Close()
}
