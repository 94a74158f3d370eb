package configs

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

// mutual is a fleet of processes that speak TLS with certificates of one authority.
type mutual struct {
	*fleet
	control, data, ctl mtls.Files // one set for each program
}

func newMutual(t *testing.T, authority *mtlstest.Authority) *mutual {
	t.Helper()
	m := &mutual{newProcesses(t), mtlstest.Files(t), mtlstest.Files(t), mtlstest.Files(t)}
	m.issue(authority)
	creds, err := mtls.Client(m.ctl, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = m.conn.Close() // of plain text, not used yet
	if m.conn, err = grpc.NewClient(m.grpc, grpc.WithTransportCredentials(creds)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.conn.Close() })
	return m
}

// issue gives every program a new certificate.
func (m *mutual) issue(authority *mtlstest.Authority) {
	m.t.Helper()
	for _, files := range []mtls.Files{m.control, m.data, m.ctl} {
		authority.Write(m.t, files, time.Hour)
	}
}

func tlsFlags(files mtls.Files) []string {
	return []string{"--tls-cert", files.Cert, "--tls-key", files.Key, "--tls-ca", files.CA}
}

// gatewayctl runs it and checks that it succeeds or not, and what it says.
func (m *mutual) gatewayctl(ok bool, says string, args ...string) {
	m.t.Helper()
	folder, err := programs()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(folder, "gatewayctl"), args...).CombinedOutput()
	if (err == nil) != ok || !strings.Contains(string(out), says) || !ok && strings.Count(string(out), "\n") != 1 {
		m.t.Errorf("gatewayctl %q = %v, says %q, want success %v and %q", args, err, out, ok, says)
	}
}

// The whole fleet speaks mutual TLS, and who has no certificate of the authority is refused and told why.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := mtlstest.New(t, "ours"), mtlstest.New(t, "theirs")
	m := newMutual(t, ours)
	m.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	m.tls = m.control
	control := m.startControl()
	m.tls = m.data
	m.startData("a")
	m.awaitServing()
	list := []string{"keys", "list", "--server", m.grpc, "--timeout", patience.String()}
	m.gatewayctl(true, "serving on 1/1 data planes", append([]string{"keys", "add", "alice", "--wait", "--server", m.grpc}, tlsFlags(m.ctl)...)...)
	m.gatewayctl(true, "alice", append(list, tlsFlags(m.ctl)...)...)

	foreign, expired := mtlstest.Files(t), mtlstest.Files(t)
	theirs.Write(t, foreign, time.Hour)
	m.gatewayctl(false, "its certificate is not believed: tls: failed to verify certificate: x509: certificate signed by unknown authority", append(list, tlsFlags(foreign)...)...)
	mtlstest.Put(t, foreign.CA, ours.PEM())
	m.gatewayctl(false, "it refuses the certificate of --tls-cert: tls: unknown certificate authority", append(list, tlsFlags(foreign)...)...)
	m.gatewayctl(false, "does it want TLS (--tls-cert)?", list...)
	ours.Write(t, expired, -time.Minute)
	m.gatewayctl(false, ": expired at ", append(list, tlsFlags(expired)...)...)
	named := append([]string{"keys", "list", "--server", "localhost" + strings.TrimPrefix(m.grpc, "127.0.0.1")}, tlsFlags(m.ctl)...)
	m.gatewayctl(false, "x509: certificate is not valid for any names, but wanted to match localhost", named...)

	stranger := m.spawnStranger(foreign)
	m.await("the stranger to say why it is refused", func() bool {
		return strings.Contains(stranger.log.String(), "remote error: tls: unknown certificate authority")
	})
	m.await("the control plane to say whom it refuses", func() bool {
		log := control.log.String()
		return strings.Contains(log, "gRPC connection refused") && strings.Contains(log, "certificate signed by unknown authority")
	})
	if got := m.dataplanes(); len(got) != 1 {
		t.Errorf("data planes = %v, want a alone", got)
	}
}

// spawnStranger starts a data plane that need not become ready.
func (m *mutual) spawnStranger(files mtls.Files) *plane {
	m.t.Helper()
	p := &plane{name: "stranger", log: new(logged), ended: make(chan struct{})}
	m.tls = files
	m.exec(p, "dataplane", "--controlplane", m.grpc, "--listen", freeAddress(m.t), "--admin", freeAddress(m.t), "--id", "stranger", "--cache", "off")
	return p
}

// New certificates, of another authority even, count without a restart; files that are no good change nothing.
func TestMutualTLSFilesChange(t *testing.T) {
	t.Parallel()
	m := newMutual(t, mtlstest.New(t, "first"))
	m.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	m.tls = m.control
	control := m.startControl()
	m.tls = m.data
	a := m.startData("a")
	m.awaitServing()
	old := m.ctl
	m.ctl = mtlstest.Files(t)
	mtlstest.Put(t, m.control.Key, []byte("half of a k"))
	list := []string{"dataplanes", "list", "--server", m.grpc, "--timeout", patience.String()}
	m.gatewayctl(true, "serving", append(list, tlsFlags(old)...)...)
	m.await("the control plane to say that its files are no good", func() bool {
		return strings.Contains(control.log.String(), "TLS files changed and are no good, the earlier ones stay in force")
	})

	m.issue(mtlstest.New(t, "second"))
	m.gatewayctl(true, "serving", append(list, tlsFlags(m.ctl)...)...)
	m.gatewayctl(false, "its certificate is not believed", append(list, tlsFlags(old)...)...)
	if log := a.log.String(); strings.Contains(log, "no control plane") {
		t.Errorf("the change ended the data plane's stream; log:\n%s", a.log.tail())
	}
	m.end(control)
	m.tls = m.control
	m.startControl()
	m.await("a to come back with its new certificate", func() bool {
		return strings.Contains(a.log.String(), "TLS files changed")
	})
	m.gatewayctl(true, "serving on 1/1 data planes", append([]string{"keys", "add", "bob", "--wait", "--server", m.grpc}, tlsFlags(m.ctl)...)...)
}
