package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apigateway/dataplane/internal/snapshot"
)

// secured is the public listener. Its connections speak TLS if the configuration that is served when they come says so.
type secured struct {
	net.Listener
	holder *snapshot.Holder
}

// Accept is part of net.Listener. The handshake is left to whoever serves the connection.
func (l secured) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if snap := l.holder.Load(); snap != nil && snap.TLS != nil {
		return tls.Server(nc, snap.TLS.Config()), nil
	}
	return nc, nil
}

// certificatesEvery is how often the files of certificates are looked at.
const certificatesEvery = 5 * time.Second

// watchCertificates serves what changes in the files of certificates.
func (p *plane) watchCertificates(ctx context.Context) {
	tick := time.NewTicker(certificatesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.refreshCertificates(ctx, now)
		}
	}
}

func (p *plane) refreshCertificates(ctx context.Context, now time.Time) {
	snap := p.holder.Load()
	if snap == nil || snap.TLS == nil {
		return
	}
	changed, errs := snap.TLS.Refresh(now)
	for _, err := range errs {
		p.certs.errors.Inc()
		p.log.ErrorContext(ctx, "files of TLS changed and are no good, the earlier ones stay in force", "err", err)
	}
	if changed {
		p.log.InfoContext(ctx, "files of TLS changed, new connections are served with them")
	}
}

// certificateMetrics are about the certificates that are served.
type certificateMetrics struct {
	holder *snapshot.Holder
	errors prometheus.Counter
	expiry *prometheus.Desc
}

func newCertificateMetrics(holder *snapshot.Holder) *certificateMetrics {
	return &certificateMetrics{
		holder: holder,
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_tls_certificate_reload_errors_total", Help: "Changes of the files of TLS that were no good: the earlier content stays in force.",
		}),
		expiry: prometheus.NewDesc("gateway_tls_certificate_expiry_timestamp_seconds", "When the certificate that is served from this file expires.",
			[]string{"cert"}, nil),
	}
}

// Describe is part of prometheus.Collector.
func (m *certificateMetrics) Describe(ch chan<- *prometheus.Desc) {
	m.errors.Describe(ch)
	ch <- m.expiry
}

// Collect is part of prometheus.Collector.
func (m *certificateMetrics) Collect(ch chan<- prometheus.Metric) {
	m.errors.Collect(ch)
	snap := m.holder.Load()
	if snap == nil || snap.TLS == nil {
		return
	}
	for _, e := range snap.TLS.Expiries() {
		ch <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(e.At.Unix()), e.Cert)
	}
}
