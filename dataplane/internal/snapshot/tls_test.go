package snapshot

import (
	"os"
	"strings"
	"testing"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

// secured is a configuration with TLS of these files.
func secured(files mtls.Files, edit func(*gatewayv1.Tls)) State {
	t := &gatewayv1.Tls{Certificates: []*gatewayv1.Certificate{{CertFile: files.Cert, KeyFile: files.Key}}}
	if edit != nil {
		edit(t)
	}
	return stateOf(settings(func(s *gatewayv1.Settings) { s.Tls = t }), map[string][]byte{"users": users(nil)})
}

func TestTLS(t *testing.T) {
	f, files := newFixture(t, nil), mtlstest.Files(t)
	if next := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil)})); next.TLS != nil {
		t.Errorf("TLS = %v without settings, want none", next.TLS)
	}
	_, why := Build(secured(files, nil), f.live)
	if want := "settings: tls: cert_file " + files.Cert + ": no such file or directory"; why == nil || why.Reason != want || !why.Passing {
		t.Fatalf("Build without files = %+v, want %q, passing", why, want)
	}
	mtlstest.New(t, "authority").Write(t, files, time.Hour, "users.example")
	first := f.publish(t, secured(files, nil))
	if first.TLS == nil || len(first.TLS.Expiries()) != 1 {
		t.Fatalf("TLS = %v, want one certificate", first.TLS)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	other := secured(files, nil)
	other.Services["users"] = users(func(s *gatewayv1.Service) { s.Urls = append(s.Urls, "http://127.0.0.1:2") })
	if next := f.publish(t, other); next.TLS != first.TLS {
		t.Error("a change of a service opened the certificates anew, want those that serve")
	}
	if _, why := Build(secured(files, func(t *gatewayv1.Tls) { t.ClientCaFile = files.CA }), f.live); why == nil || !why.Passing {
		t.Errorf("Build of other settings without a key = %+v, want a rejection", why)
	}
	if next := f.publish(t, stateOf(settings(nil), map[string][]byte{"users": users(nil)})); next.TLS != nil {
		t.Errorf("TLS = %v after it was switched off, want none", next.TLS)
	}
	bad := stateOf(settings(func(s *gatewayv1.Settings) { s.Port = "x" }), map[string][]byte{"users": users(nil)})
	if _, why := Build(bad, f.live); why == nil || why.Passing || !strings.Contains(why.Reason, "port") {
		t.Errorf("Build with a bad port = %+v, want a rejection that does not pass", why)
	}
}
