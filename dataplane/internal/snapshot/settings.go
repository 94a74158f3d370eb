package snapshot

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/http1"
	"apigateway/dataplane/internal/upstream"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxMillis bounds every duration: ten years, far from overflow.
const maxMillis = 10 * 365 * 24 * 3_600_000

// number is a setting and the largest value it may have; the least is 0.
type number struct {
	name  string
	value int64
	most  int64
}

func checkNumbers(numbers []number) error {
	for _, n := range numbers {
		if n.value < 0 || n.value > n.most {
			return fmt.Errorf("%s: out of range, got %d (want 0 to %d)", n.name, n.value, n.most)
		}
	}
	return nil
}

// decodeSettings reads and checks the settings of a whole data plane.
func decodeSettings(raw []byte) (*gatewayv1.Settings, []netip.Prefix, error) {
	s := new(gatewayv1.Settings)
	if raw == nil {
		return nil, nil, errors.New("settings: none in the configuration")
	}
	if err := proto.Unmarshal(raw, s); err != nil {
		return nil, nil, fmt.Errorf("settings: %w", err)
	}
	if unknown := UnknownFields(s); unknown != "" {
		return nil, nil, fmt.Errorf("settings: unknown fields %s: this data plane is too old for them", unknown)
	}
	if _, _, err := net.SplitHostPort(s.GetPort()); err != nil {
		return nil, nil, fmt.Errorf("settings: port: %w", err)
	}
	if err := checkNumbers(settingsNumbers(s)); err != nil {
		return nil, nil, fmt.Errorf("settings: %w", err)
	}
	var trusted []netip.Prefix
	for i, text := range s.GetTrustedProxies() {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, fmt.Errorf("settings: trusted_proxies[%d]: %w", i, err)
		}
		trusted = append(trusted, p)
	}
	return s, trusted, nil
}

func settingsNumbers(s *gatewayv1.Settings) []number {
	t, l := s.GetTransport(), s.GetListener()
	return []number{
		{"transport.max_idle", t.GetMaxIdle(), math.MaxInt32},
		{"transport.max_idle_per_host", t.GetMaxIdlePerHost(), math.MaxInt32},
		{"transport.idle_timeout", t.GetIdleTimeoutMs(), maxMillis},
		{"transport.connect_timeout", t.GetConnectTimeoutMs(), maxMillis},
		{"transport.tls_handshake_timeout", t.GetTlsHandshakeTimeoutMs(), maxMillis},
		{"transport.first_byte_timeout", t.GetFirstByteTimeoutMs(), maxMillis},
		{"transport.read_timeout", t.GetReadTimeoutMs(), maxMillis},
		{"listener.head_timeout", l.GetHeadTimeoutMs(), maxMillis},
		{"listener.body_timeout", l.GetBodyTimeoutMs(), maxMillis},
		{"listener.idle_timeout", l.GetIdleTimeoutMs(), maxMillis},
		{"listener.max_requests", l.GetMaxRequests(), math.MaxInt64},
		{"listener.max_age", l.GetMaxAgeMs(), maxMillis},
		{"listener.max_connections", l.GetMaxConnections(), math.MaxInt32},
		{"max_buckets", s.GetMaxBuckets(), math.MaxInt32},
	}
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func transportSettings(t *gatewayv1.Transport) upstream.TransportSettings {
	return upstream.TransportSettings{
		MaxIdle:             int(t.GetMaxIdle()),
		MaxIdlePerHost:      int(t.GetMaxIdlePerHost()),
		IdleTimeout:         millis(t.GetIdleTimeoutMs()),
		ConnectTimeout:      millis(t.GetConnectTimeoutMs()),
		TLSHandshakeTimeout: millis(t.GetTlsHandshakeTimeoutMs()),
		FirstByteTimeout:    millis(t.GetFirstByteTimeoutMs()),
		ReadTimeout:         millis(t.GetReadTimeoutMs()),
	}
}

func listenerSettings(l *gatewayv1.Listener) http1.Settings {
	return http1.Settings{
		HeadTimeout: millis(l.GetHeadTimeoutMs()),
		BodyTimeout: millis(l.GetBodyTimeoutMs()),
		IdleTimeout: millis(l.GetIdleTimeoutMs()),
		MaxRequests: l.GetMaxRequests(),
		MaxAge:      millis(l.GetMaxAgeMs()),
		MaxConns:    int(l.GetMaxConnections()),
	}
}

func serviceNumbers(s *gatewayv1.Service) []number {
	return []number{
		{"rate_limit_burst", s.GetRateLimitBurst(), math.MaxInt32},
		{"cb_failure_threshold", s.GetCbFailureThreshold(), math.MaxInt32},
		{"cb_reset_timeout", s.GetCbResetTimeoutMs(), maxMillis},
		{"max_body", s.GetMaxBody(), math.MaxInt64},
		{"first_byte_timeout", s.GetFirstByteTimeoutMs(), maxMillis},
		{"stream_idle_timeout", s.GetStreamIdleTimeoutMs(), maxMillis},
		{"timeout", s.GetTimeoutMs(), maxMillis},
	}
}

func upstreamSettings(s *gatewayv1.Service, l *gatewayv1.Listener) upstream.Settings {
	files := s.GetUpstreamTls()
	return upstream.Settings{
		URLs: s.GetUrls(),
		TLS: upstream.TLSFiles{
			CAFile: files.GetCaFile(), ServerName: files.GetServerName(), CertFile: files.GetCertFile(), KeyFile: files.GetKeyFile(),
		},
		FailureThreshold:  int(s.GetCbFailureThreshold()),
		ResetTimeout:      millis(s.GetCbResetTimeoutMs()),
		MaxBody:           s.GetMaxBody(),
		BodyTimeout:       millis(l.GetBodyTimeoutMs()),
		FirstByteTimeout:  millis(s.GetFirstByteTimeoutMs()),
		StreamIdleTimeout: millis(s.GetStreamIdleTimeoutMs()),
		Timeout:           millis(s.GetTimeoutMs()),
		HostUpstream:      s.GetUpstreamHost(),
		NoUpgrade:         s.GetRefuseWebsocket(),
	}
}
