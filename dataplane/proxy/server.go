package proxy

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/http1"
	"apigateway/dataplane/internal/http2"
)

// newServer makes the public server: one for HTTP/1.1, which gives connections that speak HTTP/2 to another, both before the same gateway.
func (p *plane) newServer() (*http1.Server, error) {
	rejected := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gateway_connections_refused_total", Help: "Connections that were refused because too many were open.",
	})
	handshakes := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gateway_tls_handshake_errors_total", Help: "Connections of clients that ended without a TLS handshake.",
	})
	server := &http1.Server{
		Handler: p.gateway, Refuse: p.gateway.refuse, Rejected: rejected.Inc, Settings: p.listenerSettings, Log: p.log, Panicked: p.panicked,
		NoHandshake: func(remote string, err error) {
			handshakes.Inc()
			p.log.Debug("no TLS handshake", "peer", remote, "err", err)
		},
		HTTP2: &http2.Server{Handler: p.gateway, Refuse: p.gateway.refuse, Settings: p.http2Settings, Log: p.log, Panicked: p.panicked},
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_connections_open", Help: "Connections of clients that are open.",
	}, func() float64 {
		n, _ := server.Count()
		return float64(n)
	})
	p.certs = newCertificateMetrics(p.holder)
	var errs []error
	for _, c := range []prometheus.Collector{rejected, handshakes, open, p.certs} {
		errs = append(errs, p.meters.Register(c))
	}
	return server, errors.Join(errs...)
}

// panicked is told of what the gateway did not end itself.
func (p *plane) panicked(x *exchange.Exchange, value any, stack []byte) {
	p.gateway.panics.Inc()
	p.log.Error("panic in the engine, its request ended", "service", x.Service, "panic", value, "stack", string(stack))
}

// listenerSettings are those of the configuration that is served now; before the first one the defaults.
func (p *plane) listenerSettings() http1.Settings {
	snap := p.holder.Load()
	if snap == nil {
		return http1.Settings{}
	}
	return snap.Listener
}

// http2Settings are the same for HTTP/2.
func (p *plane) http2Settings() http2.Settings {
	s := p.listenerSettings()
	return http2.Settings{
		IdleTimeout: s.IdleTimeout, BodyTimeout: s.BodyTimeout, WriteTimeout: s.WriteTimeout, MaxRequests: s.MaxRequests, MaxAge: s.MaxAge,
	}
}
