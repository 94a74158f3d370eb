package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/router"
	gatewayv1 "apigateway/proto/gateway/v1"
	"apigateway/proto/pattern"
)

// maxName bounds a service's name, in bytes: it is a label of every metric.
const maxName = 256

// Build makes a snapshot of a configuration, whole or not at all. Nothing that serves is changed. What was built and not
// published before is given up.
func Build(state State, live *Live) (next *Snapshot, why *Rejection) {
	b := &builder{state: state, live: live, next: &Snapshot{
		Revision: state.Revision,
		Digest:   state.Digest,
		settings: state.Settings,
		services: make(map[string]*Service, len(state.Services)),
	}}
	defer func() {
		if p := recover(); p != nil { // a mistake of ours, or of own middleware: no configuration may end the process
			live.deps.Log.Error("panic while a configuration was built", "panic", p, "service", b.service, "stack", string(debug.Stack()))
			why = &Rejection{Entry: b.service, Reason: fmt.Sprintf("service %q: panic while it was built: %v", b.service, p)}
		}
		if why != nil {
			live.abandon(b.next)
			next = nil
			return
		}
		live.setPending(next)
	}()
	if err := b.build(); err != nil {
		reason := err.Error()
		if b.service != "" {
			reason = fmt.Sprintf("service %q: %s", b.service, reason)
		}
		return nil, &Rejection{Entry: b.service, Reason: reason, Passing: b.reads}
	}
	return b.next, nil
}

// builder is one build.
type builder struct {
	state   State
	live    *Live
	next    *Snapshot
	service string // the one that is being built, for the rejection; "" none
	reads   bool   // files are being read, for the rejection
}

func (b *builder) build() error {
	if err := b.checkEntries(); err != nil {
		return err
	}
	var err error
	if b.next.Settings, b.next.TrustedProxies, err = decodeSettings(b.state.Settings); err != nil {
		return err
	}
	b.next.Listener = listenerSettings(b.next.Settings.GetListener())
	b.reads = true
	if b.next.TLS, err = b.live.openTLS(b.next.Settings.GetTls()); err != nil {
		return err
	}
	b.reads = false
	base := b.live.base(b.state.Settings)
	names := slices.Sorted(maps.Keys(b.state.Services)) // so that of several mistakes the same one is named each time
	for _, name := range names {
		b.service = name
		raw := b.state.Services[name]
		if old := base[name]; old != nil && bytes.Equal(old.raw, raw) {
			b.next.services[name] = old
			continue
		}
		s, err := b.buildService(name, raw)
		if err != nil {
			return err
		}
		b.next.services[name] = s
	}
	b.service = ""
	if bugApplyUnchecked {
		b.live.adopt(b.next)
	}
	return b.route(names)
}

func (b *builder) checkEntries() error {
	switch n := len(b.state.Services); {
	case len(b.state.Foreign) > 0:
		return fmt.Errorf("entry %q: neither settings nor a service", b.state.Foreign[0])
	case n == 0:
		return errors.New("configuration has no services (want at least one)")
	case n > gatewayv1.MaxServices:
		return fmt.Errorf("configuration has too many services, got %d (want at most %d)", n, gatewayv1.MaxServices)
	}
	return nil
}

func (b *builder) buildService(name string, raw []byte) (*Service, error) {
	cfg := new(gatewayv1.Service)
	if err := proto.Unmarshal(raw, cfg); err != nil {
		return nil, err
	}
	if unknown := UnknownFields(cfg); unknown != "" {
		return nil, fmt.Errorf("unknown fields %s: this data plane is too old for them", unknown)
	}
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return nil, fmt.Errorf("name of %d bytes (want 1 to %d of UTF-8)", len(name), maxName)
	}
	if err := checkNumbers(serviceNumbers(cfg)); err != nil {
		return nil, err
	}
	s := &Service{Name: name, Config: cfg, raw: raw, parts: b.live.partsOf(name)}
	b.next.built = append(b.next.built, s)
	b.reads = cfg.GetUpstreamTls() != nil
	last, err := s.parts.cluster.Handler(upstreamSettings(cfg, b.next.Settings.GetListener()))
	if err != nil {
		return nil, err
	}
	b.reads = false
	mws, err := b.middleware(s)
	if err != nil {
		return nil, err
	}
	s.parts.drop(cfg.GetMiddleware())
	s.Refused = s.parts.refused
	s.Handler = chain.Build(last, mws...)
	return s, nil
}

// route makes the table. Conflicts are found here, where both services have names.
func (b *builder) route(names []string) error {
	routes := make([]router.Route[*Service], 0, len(names))
	seen := make(map[string]string, len(names))
	for _, name := range names {
		b.service = name
		s := b.next.services[name]
		p, err := pattern.Parse(s.Config.GetRoutePattern())
		if err != nil {
			return fmt.Errorf("route_pattern: %w", err)
		}
		if other, taken := seen[p.Key()]; taken {
			return fmt.Errorf("route_pattern: %q conflicts with that of service %q", s.Config.GetRoutePattern(), other)
		}
		seen[p.Key()] = name
		routes = append(routes, router.Route[*Service]{Pattern: p, Value: s})
	}
	b.service = ""
	var err error
	b.next.Routes, err = router.Build(routes)
	return err
}
