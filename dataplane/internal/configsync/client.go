// Package configsync keeps a data plane at the control plane's newest state and tells what is being served. The composition
// root runs one Client for the life of the process; everything that requests use is reached through what it feeds:
// snapshot.Holder for the configuration, keys.Table for the keys.
//
// Three layers, from the inside out:
//   - replica: what was received and what is served, part by part. It judges every message and knows no connection.
//   - session: one stream: Hello, then messages in, reports and heartbeats out.
//   - Client: streams one after the other, over several addresses, and what happens without any.
//
// What a data plane promises (the protocol is in proto/gateway/v1/sync.proto):
//   - A configuration is built whole or not at all. One that cannot be built is rejected with its reason; the earlier build
//     goes on serving, and what was received is kept, so that later records apply on top of it. One that was rejected for files of this
//     machine is built again at each heartbeat.
//   - The first service waits until both parts have reached what Welcome named, or were rejected there: neither a key that is
//     revoked by then nor a port that was left is ever served. A cache with both parts waits for Grace at the most. Without
//     one the data plane is alive, not ready, and answers 503 until the parts are there; only if the control plane is gone
//     for Grace meanwhile, what was received of both is served.
//   - Keys are taken entry by entry, removals first. An entry that cannot be used admits nobody and is named.
//   - Applied is sent when a change is served and, unless it says otherwise, on disk.
//   - It never goes back within an epoch and follows only stores that descend from the one it has. Otherwise it is
//     foreign: it goes on serving, applies nothing, and can still be asked.
//   - No message, file or silence ends the process. What contradicts its digest is asked for again, whole.
//
// All exported methods are safe for concurrent use.
package configsync

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/snapshot"
)

// The protocol's times.
const (
	// Grace is how long a start waits for the control plane before it serves the cache, and how long one that has nothing to
	// serve waits for the control plane to come back before it serves what was received of a state.
	Grace          = 500 * time.Millisecond
	heartbeatEvery = 5 * time.Second
	silence        = 15 * time.Second
	flushEvery     = 5 * time.Minute
	checkEvery     = 10 * time.Minute
	goodbye        = time.Second // for the last reports at shutdown
)

// Options say who this data plane is and what the client feeds. Fields without a default are required.
type Options struct {
	Addresses   []string                         // control planes, tried in turn
	Credentials credentials.TransportCredentials // nil: plain text
	DialOptions []grpc.DialOption                // more of them, for tests; may be nil

	ID      string        // as in Hello
	Version string        // of the build
	Address func() string // public HTTP address, "" while none is bound; nil: always ""

	Keys   *keys.Table
	Live   *snapshot.Live
	Holder *snapshot.Holder
	Cache  *cache.Dir            // nil: off. The client does not close it
	Log    *slog.Logger          // nil: slog.Default
	Meters prometheus.Registerer // nil: nothing is registered
}

// Client follows a control plane. Make it with New, run it once.
type Client struct {
	opts     Options
	instance string
	replica  *replica
	metrics  *metrics
	breakers *breakerFeed
	turns    chan turn
	welcomed chan struct{} // capacity 1
	departs  bool          // id and cache are another process's; changed between streams
}

// New makes a client and takes the cache in: the keys are in the table and the configuration is built when it returns, but
// nothing is served before Run. It is an error to name no control plane, or to register the metrics twice.
func New(o Options) (*Client, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("configsync: no control plane (want at least one address)")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Address == nil {
		o.Address = func() string { return "" }
	}
	m, err := newMetrics(o.Meters)
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: o, instance: rand.Text(), metrics: m, breakers: newBreakerFeed(o.Live),
		turns: make(chan turn), welcomed: make(chan struct{}, 1),
	}
	c.replica = newReplica(&c.opts, m)
	c.replica.load()
	return c, nil
}

// Run follows the control plane until ctx ends: it tells what is left to tell and returns. What the cache still writes is
// waited for by its Close.
func (c *Client) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	grace := time.AfterFunc(Grace, c.replica.endGrace)
	defer grace.Stop()
	defer c.replica.stop()
	wg.Go(func() { c.replica.watchDrift(ctx) })
	c.follow(ctx)
}

// Configured is closed when the first configuration is being served: Holder holds one from then on.
func (c *Client) Configured() <-chan struct{} { return c.replica.configured }

// Ready reports whether a configuration and the keys are being served and have reached the cache, or there is none to
// reach. Once true it stays true.
func (c *Client) Ready() bool { return c.replica.ready.Load() }

// Connected reports whether a control plane is connected, and whether it is one that this data plane does not follow.
func (c *Client) Connected() (connected, foreign bool) {
	s := c.replica.link.Load()
	return s != linkDown, s == linkForeign
}
