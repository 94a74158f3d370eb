// Package snapshot turns the configuration as it was received into what requests are served by: an immutable view of
// services, routes and settings, and beside it the live state that outlives it. Package configsync builds and publishes
// snapshots; the listener loads one per request.
//
// Build is all or nothing and changes nothing that serves: it makes a Snapshot or says in a Rejection which entry is at
// fault. Holder.Publish puts a snapshot into service: the live parts of changed services take their new settings over, the
// pointer is swapped once, and what is gone is released.
//
// Live state (buckets, breakers, the place in the round robin, the watch on URLs, connections, series of metrics) is kept by
// service name in Live. A service whose bytes and global settings did not change keeps its very Service. For one that
// changed, a bucket's level is kept and capped at the new burst, a threshold counts at once, a reset time from the next
// opening, and an open breaker stays open.
//
// The entries come from outside: more than MaxServices, fields that this version does not know, numbers out of range,
// unknown middleware, routes that conflict, certificates that cannot be used are all rejections, and never end the process.
//
// A Snapshot and all that is reachable from it never change and are safe for concurrent use; so are Holder and Live.
// Build and Publish are called by one goroutine at a time.
package snapshot

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

	"apigateway/dataplane/internal/certs"
	"apigateway/dataplane/internal/http1"
	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/router"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// State is a configuration as it was received. Build keeps its bytes.
type State struct {
	Revision uint64
	Digest   gatewayv1.Digest
	Settings []byte            // an encoded gatewayv1.Settings; nil: none came
	Services map[string][]byte // encoded gatewayv1.Service by name
	Foreign  []string          // ids of entries that belong into no configuration: any is a rejection
}

// Rejection says why a configuration cannot be served.
type Rejection struct {
	Entry   string // name of the service at fault; "" if it was none, or the settings
	Reason  string // for people; names the service again
	Passing bool   // it is about files of this machine: the same configuration may be good later
}

func (r *Rejection) Error() string { return r.Reason }

// Snapshot is a configuration that can be served.
type Snapshot struct {
	Revision       uint64
	Digest         gatewayv1.Digest
	Settings       *gatewayv1.Settings // read only
	TrustedProxies []netip.Prefix      // from Settings
	Listener       http1.Settings      // from Settings
	TLS            *certs.Set          // from Settings; nil: plain HTTP
	Routes         *router.Table[*Service]

	settings []byte
	services map[string]*Service
	built    []*Service // those that were not taken over as they were
}

// Service is one service of a snapshot.
type Service struct {
	Name    string
	Config  *gatewayv1.Service       // read only
	Handler http.Handler             // its chain, the upstream last
	Refused *refusal.ServiceCounters // what the gateway itself answered for it
	Custom  bool                     // own middleware is in its chain: requests must not be recycled

	raw   []byte
	parts parts
}

// Service returns a service by its name, nil if there is none.
func (s *Snapshot) Service(name string) *Service { return s.services[name] }

// Len returns the number of services.
func (s *Snapshot) Len() int { return len(s.services) }

// Names returns the services' names in order.
func (s *Snapshot) Names() []string { return slices.Sorted(maps.Keys(s.services)) }

// Recompute returns the digest of the bytes that s was built from, to be compared with Digest.
func (s *Snapshot) Recompute() gatewayv1.Digest {
	d := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SETTINGS, "", s.settings)
	for name, service := range s.services {
		d = d.Add(gatewayv1.EntryDigest(gatewayv1.Kind_KIND_SERVICE, name, service.raw))
	}
	return d
}

// Holder holds the snapshot that serves. The zero value holds none.
type Holder struct{ current atomic.Pointer[Snapshot] }

// Load returns the snapshot that serves now, nil before the first one. A request loads once.
func (h *Holder) Load() *Snapshot { return h.current.Load() }

// Publish makes next, which Build made last, the one that serves.
func (h *Holder) Publish(next *Snapshot, live *Live) {
	live.adopt(next)
	h.current.Store(next)
	live.release(next)
}
