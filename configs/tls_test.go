package configs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

// port is a fleet whose data plane speaks TLS on its public port.
type port struct {
	*fleet
	authority *mtlstest.Authority
	users     mtls.Files // certificate for users.example
	orders    mtls.Files // certificate for *.orders.example
	rest      string     // of the configuration
	data      *plane
}

func newPort(t *testing.T) *port {
	t.Helper()
	f := newFleet(t)
	p := &port{fleet: f, authority: mtlstest.New(t, "authority"), users: mtlstest.Files(t), orders: mtlstest.Files(t)}
	p.authority.Write(t, p.users, time.Hour, "users.example")
	p.authority.Write(t, p.orders, time.Hour, "*.orders.example")
	p.rest = configuration(service("users", guarded, unlimited, newBackend(t, "backend-1")))
	return p
}

// settings are those of TLS, with more of them.
func (p *port) settings(more string) string {
	return fmt.Sprintf("tls: {certificates: [{cert_file: %q, key_file: %q}, {cert_file: %q, key_file: %q}]%s}\n",
		p.users.Cert, p.users.Key, p.orders.Cert, p.orders.Key, more)
}

func (p *port) start(settings string) {
	p.t.Helper()
	p.write(settings + p.rest)
	p.startControl()
	p.data = p.startData("a")
	p.awaitServing()
}

// trusting is a client's settings for a server name.
func (p *port) trusting(name string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.authority.PEM())
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// dialTLS opens a connection that speaks HTTP/1.1.
func (p *port) dialTLS(config *tls.Config) (*client, error) {
	c, err := dial(p.data.public)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(c.conn, config)
	c.conn = secure
	c.reader.Reset(secure)
	return c, nil
}

// shown is the certificate that a new connection is shown.
func (p *port) shown(name string) (*x509.Certificate, error) {
	d := &tls.Dialer{Config: p.trusting(name)}
	nc, err := d.DialContext(p.t.Context(), "tcp", p.data.public)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	return nc.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// TLS comes and goes with the configuration, for new connections; each server name has its certificate; plain text is told.
func TestTLS(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	p.start("")
	plain, err := dial(p.data.public)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.close()
	p.getOn(plain, "before TLS")

	p.apply(p.settings("") + p.rest)
	p.getOn(plain, "a plain connection of before")
	for _, name := range []string{"users.example", "eu.orders.example"} {
		cert, err := p.shown(name)
		if err != nil || cert.VerifyHostname(name) != nil {
			t.Errorf("certificate for %s: %v, %v, want its own", name, cert, err)
		}
	}
	if _, err := p.shown("unknown.example"); err == nil || !strings.Contains(err.Error(), "users.example") {
		t.Errorf("an unknown name: %v, want the first certificate", err)
	}
	a, err := p.try(p.data.public, "/users", fileKey)
	if err != nil || a.status != http.StatusBadRequest || a.body != "This Port Speaks TLS\n" {
		t.Errorf("plain text = %d %q, %v, want 400 and why", a.status, a.body, err)
	}
	if n := p.metrics(p.data)[`gateway_refused_total{code="tls_required",service=""}`]; n != 1 {
		t.Errorf("tls_required is counted %v times, want 1", n)
	}
	secure, err := p.dialTLS(p.trusting("users.example"))
	if err != nil {
		t.Fatal(err)
	}
	defer secure.close()
	p.getOn(secure, "TLS")

	p.apply(p.rest)
	p.getOn(secure, "a connection with TLS of before")
	p.expect(p.data, "/users", fileKey, answer{status: http.StatusOK})
}

func (p *port) getOn(c *client, when string) {
	p.t.Helper()
	if status, last, err := c.get("/users", fileKey); status != http.StatusOK || last || err != nil {
		p.t.Errorf("%s: status %d, last %v, %v, want 200 and a connection that goes on", when, status, last, err)
	}
}

// A configuration whose files are no good on a data plane is rejected there with the reason, and the earlier one goes on.
func TestTLSRejected(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	p.start(p.settings(""))
	if err := os.Remove(p.orders.Key); err != nil { // what is served does not depend on it any more
		t.Fatal(err)
	}
	p.apply(p.settings("") + "max_body: 1MiB\n" + p.rest)
	p.write(p.settings(", client_ca_file: "+p.users.CA) + p.rest)
	p.reload <- struct{}{}
	a := p.awaitState("a", gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED)
	if want := "settings: tls: key_file " + p.orders.Key + ": no such file or directory"; !strings.HasSuffix(a.GetReason(), want) {
		t.Errorf("rejected with %q, want %q", a.GetReason(), want)
	}
	if _, err := p.shown("eu.orders.example"); err != nil {
		t.Errorf("the earlier configuration does not go on: %v", err)
	}
	rejections := p.metrics(p.data)["gateway_sync_rejected_total"]
	p.authority.Write(t, p.orders, time.Hour, "*.orders.example") // now it is there
	p.awaitServing()
	if got := p.dataplanes()["a"]; got.GetReason() != "" {
		t.Errorf("what was rejected is served, with the reason %q, want none", got.GetReason())
	}
	if n := p.metrics(p.data)["gateway_sync_rejected_total"]; n != rejections {
		t.Errorf("%v rejections are counted, want %v", n, rejections)
	}
}

// Renewed certificates are served without a failed request or a connection that ends; what is no good changes nothing.
func TestTLSReloadUnderLoad(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	p.start(p.settings(""))
	load := p.startTLSLoad()
	observer, err := p.dialTLS(p.trusting("users.example"))
	if err != nil {
		t.Fatal(err)
	}
	defer observer.close()
	p.getOn(observer, "before")
	expiry := func(cert string) float64 {
		return p.metrics(p.data)[fmt.Sprintf(`gateway_tls_certificate_expiry_timestamp_seconds{cert=%q}`, cert)]
	}
	old := expiry(p.users.Cert)

	mtlstest.Put(t, p.orders.Key, []byte("no key"))
	p.authority.Write(t, p.users, 2*time.Hour, "users.example")
	p.await("the new certificate", func() bool { return expiry(p.users.Cert) > old+3000 })
	if cert, err := p.shown("users.example"); err != nil || time.Until(cert.NotAfter) < time.Hour+50*time.Minute {
		t.Errorf("a new connection is shown %v, %v, want the new certificate", cert, err)
	}
	if _, err := p.shown("eu.orders.example"); err != nil {
		t.Errorf("the certificate whose new files are no good: %v, want the old one", err)
	}
	if n := p.metrics(p.data)["gateway_tls_certificate_reload_errors_total"]; n != 1 {
		t.Errorf("%v errors are counted, want 1", n)
	}
	p.getOn(observer, "after")
	if answered, failures := load(); answered == 0 || len(failures) > 0 {
		t.Errorf("%d requests answered, failed: %v", answered, failures)
	}
}

// startTLSLoad asks on connections that are kept and on new ones until it is told to end, and says how that went.
func (p *port) startTLSLoad() (end func() (answered int, failures map[string]int)) {
	p.t.Helper()
	var done sync.WaitGroup
	var mu sync.Mutex
	ending, answered, failures := make(chan struct{}), 0, make(map[string]int)
	for i := range 4 {
		c := &http.Client{Transport: &http.Transport{
			TLSClientConfig: p.trusting("users.example"), DisableKeepAlives: i%2 == 0, ForceAttemptHTTP2: i > 1,
		}, Timeout: patience}
		done.Go(func() {
			defer c.CloseIdleConnections()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for {
				select {
				case <-ending:
					return
				case <-tick.C:
				}
				status, err := p.ask(c, "https://"+p.data.public+"/users")
				mu.Lock()
				if answered++; err != nil || status != http.StatusOK {
					failures[fmt.Sprint(status, err)]++
				}
				mu.Unlock()
			}
		})
	}
	stop := sync.OnceValue(func() int {
		close(ending)
		done.Wait()
		return answered
	})
	p.t.Cleanup(func() { stop() })
	return func() (int, map[string]int) { return stop(), maps.Clone(failures) }
}

// ask makes a request with the key of the file and reads its answer. It is safe for concurrent use.
func (f *fleet) ask(c *http.Client, url string) (status int, err error) {
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-API-KEY", fileKey)
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Clients without a certificate of the authorities are not let in where one is required.
func TestTLSClientCertificates(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	clients := filepath.Join(p.dir, "clients.pem")
	mtlstest.Put(t, clients, p.authority.PEM())
	p.start(p.settings(", client_ca_file: " + clients + ", require_client_certificate: true"))
	known, unknown := mtlstest.Files(t), mtlstest.Files(t)
	p.authority.Write(t, known, time.Hour)
	mtlstest.New(t, "stranger").Write(t, unknown, time.Hour)
	for name, files := range map[string]mtls.Files{"known": known, "unknown": unknown, "none": {}} {
		config := p.trusting("users.example")
		if files.Given() {
			own, err := tls.LoadX509KeyPair(files.Cert, files.Key)
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}
		c, err := p.dialTLS(config)
		if err != nil {
			t.Fatal(err)
		}
		status, _, err := c.get("/users", fileKey)
		if (err == nil && status == http.StatusOK) != (name == "known") {
			t.Errorf("%s certificate: status %d, %v, want the known one let in only", name, status, err)
		}
		c.close()
	}
	if n := p.metrics(p.data)["gateway_tls_handshake_errors_total"]; n != 2 {
		t.Errorf("%v handshakes failed, want 2", n)
	}
}

// Garbage in place of a handshake, and a handshake that does not go on, touch nobody else.
func TestTLSGarbage(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	p.start(p.settings("") + "listener: {head_timeout: 1s}\n")
	for _, sent := range []string{"", "\x16\x03\x01\x02\x00", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70_000), "\x80\x2e\x01", strings.Repeat("\x00", 1000)} {
		nc, err := net.Dial("tcp", p.data.public)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, sent) // it may be refused before its end
		if cert, err := p.shown("users.example"); err != nil {
			t.Errorf("beside %.10q: %v, %v", sent, cert, err)
		}
		if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(nc); err != nil && os.IsTimeout(err) {
			t.Errorf("after %.10q the connection goes on", sent)
		}
	}
}
