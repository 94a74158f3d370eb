package snapshot

import (
	"fmt"

	"apigateway/dataplane/internal/certs"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// openTLS returns the certificates of the public port, nil for plain HTTP. If the settings are those that serve, so are the certificates,
// whatever became of their files: another change of the configuration must not fail by that.
func (l *Live) openTLS(t *gatewayv1.Tls) (*certs.Set, error) {
	if t == nil {
		return nil, nil
	}
	files := certs.Files{ClientCA: t.GetClientCaFile(), RequireClient: t.GetRequireClientCertificate()}
	for _, c := range t.GetCertificates() {
		files.Pairs = append(files.Pairs, certs.Pair{Cert: c.GetCertFile(), Key: c.GetKeyFile()})
	}
	l.mu.Lock()
	serving := l.tls
	l.mu.Unlock()
	if serving != nil && serving.Files().Equal(files) {
		return serving, nil
	}
	set, err := certs.Open(files)
	if err != nil {
		return nil, fmt.Errorf("settings: tls: %w", err)
	}
	return set, nil
}
