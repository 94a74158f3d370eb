package certs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"apigateway/dataplane/internal/certs"
	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

// pair writes a certificate for names, by an authority, and returns its files.
func pair(t *testing.T, by *mtlstest.Authority, names ...string) certs.Pair {
	t.Helper()
	files := mtlstest.Files(t)
	by.Write(t, files, time.Hour, names...)
	return certs.Pair{Cert: files.Cert, Key: files.Key}
}

func open(t *testing.T, files certs.Files) *certs.Set {
	t.Helper()
	s, err := certs.Open(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shake makes a connection between a Set and a client, both of which say how that went.
func shake(t *testing.T, s *certs.Set, client *tls.Config) (state tls.ConnectionState, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err == nil {
			defer raw.Close()
			_, err = io.WriteString(tls.Server(raw, s.Config()), "x") // more than the handshake: with TLS 1.3 a ticket, or a refusal, comes behind it
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	_, err = conn.Read(make([]byte, 1))
	state = conn.ConnectionState()
	_ = raw.Close()
	return state, errors.Join(err, <-served)
}

func trusting(by *mtlstest.Authority, name string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(by.PEM())
	return &tls.Config{RootCAs: roots, ServerName: name}
}

func TestChoice(t *testing.T) {
	by := mtlstest.New(t, "authority")
	s := open(t, certs.Files{Pairs: []certs.Pair{
		pair(t, by, "first.example"), pair(t, by, "*.example.com", "example.com"), pair(t, by, "www.example.com"), pair(t, by, "*.www.example.com"),
	}})
	for name, want := range map[string]string{
		"first.example":     "first.example",
		"example.com":       "*.example.com",
		"www.example.com":   "www.example.com", // exact, although the wildcard stands before it
		"WWW.Example.COM":   "www.example.com",
		"api.example.com":   "*.example.com",
		"a.www.example.com": "*.www.example.com",
		"a.api.example.com": "first.example", // a wildcard is one label
		"unknown.example":   "first.example",
		"com":               "first.example",
		"":                  "first.example",
	} {
		config := trusting(by, name)
		config.InsecureSkipVerify = true // names are looked at below
		state, err := shake(t, s, config)
		if err != nil {
			t.Errorf("handshake for %q: %v", name, err)
			continue
		}
		if got := state.PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("certificate for %q is that of %q, want %q", name, got, want)
		}
	}
}

// Of several certificates for a name, a client gets one that it can use.
func TestChoiceBySignature(t *testing.T) {
	by := mtlstest.New(t, "authority")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	files := mtlstest.Files(t)
	mtlstest.Put(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	mtlstest.Put(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	s := open(t, certs.Files{Pairs: []certs.Pair{pair(t, by, "a.example"), {Cert: files.Cert, Key: files.Key}}})
	for suite, want := range map[uint16]x509.PublicKeyAlgorithm{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: x509.ECDSA,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   x509.RSA,
	} {
		state, err := shake(t, s, &tls.Config{
			ServerName: "a.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite},
		})
		if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != want {
			t.Errorf("%s: %v, want a certificate with %v", tls.CipherSuiteName(suite), err, want)
		}
	}
}

func TestProtocols(t *testing.T) {
	by := mtlstest.New(t, "authority")
	s := open(t, certs.Files{Pairs: []certs.Pair{pair(t, by, "a.example")}})
	for _, test := range []struct {
		name    string
		protos  []string
		version uint16 // the client's last
		want    string
		ok      bool
	}{
		{"both", []string{"h2", "http/1.1"}, 0, "h2", true},
		{"HTTP/1.1 first", []string{"http/1.1", "h2"}, 0, "h2", true},
		{"HTTP/1.1", []string{"http/1.1"}, 0, "http/1.1", true},
		{"none", nil, 0, "", true},
		{"unknown", []string{"h3"}, 0, "", false},
		{"TLS 1.2", []string{"h2"}, tls.VersionTLS12, "h2", true},
		{"TLS 1.1", []string{"h2"}, tls.VersionTLS11, "", false},
	} {
		config := trusting(by, "a.example")
		config.NextProtos, config.MaxVersion, config.MinVersion = test.protos, test.version, tls.VersionTLS10
		state, err := shake(t, s, config)
		if state.NegotiatedProtocol != test.want || (err == nil) != test.ok {
			t.Errorf("%s: protocol %q, %v, want %q, success %v", test.name, state.NegotiatedProtocol, err, test.want, test.ok)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	by, stranger := mtlstest.New(t, "authority"), mtlstest.New(t, "stranger")
	clients := filepath.Join(t.TempDir(), "clients.pem")
	mtlstest.Put(t, clients, by.PEM())
	own := func(by *mtlstest.Authority) []tls.Certificate {
		p := pair(t, by, "client")
		cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{cert}
	}
	known, unknown := own(by), own(stranger)
	server := pair(t, by, "a.example")
	for _, test := range []struct {
		name    string
		ca      string
		require bool
		own     []tls.Certificate
		ok      bool
	}{
		{"none asked for", "", false, nil, true},
		{"asked for, none", clients, false, nil, true},
		{"asked for, known", clients, false, known, true},
		{"asked for, unknown", clients, false, unknown, false},
		{"required, none", clients, true, nil, false},
		{"required, known", clients, true, known, true},
		{"required, unknown", clients, true, unknown, false},
	} {
		s := open(t, certs.Files{Pairs: []certs.Pair{server}, ClientCA: test.ca, RequireClient: test.require})
		config := trusting(by, "a.example")
		if test.own != nil { // sent also if the server will not believe it
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.own[0], nil }
		}
		if _, err := shake(t, s, config); (err == nil) != test.ok {
			t.Errorf("%s: %v, want success %v", test.name, err, test.ok)
		}
	}
}

// A change of the files counts from the next handshake on, sessions are resumed across it, and what is no good changes nothing.
func TestRefresh(t *testing.T) {
	by := mtlstest.New(t, "authority")
	files := mtlstest.Files(t)
	by.Write(t, files, time.Hour, "old.example")
	other := pair(t, by, "other.example")
	s := open(t, certs.Files{Pairs: []certs.Pair{{Cert: files.Cert, Key: files.Key}, other}})
	serves := func(when, want string) {
		t.Helper()
		config := trusting(by, "")
		config.InsecureSkipVerify = true
		state, err := shake(t, s, config)
		if err != nil || state.PeerCertificates[0].DNSNames[0] != want {
			t.Errorf("%s: served %v, %v, want %q", when, state.PeerCertificates[0].DNSNames, err, want)
		}
	}
	refresh := func(when string, changes bool, problem string) {
		t.Helper()
		changed, errs := s.Refresh(time.Now())
		if err := errors.Join(errs...); changed != changes || !like(err, problem) {
			t.Errorf("%s: Refresh() = %v, %v, want %v, %q", when, changed, err, changes, problem)
		}
		if changed, errs := s.Refresh(time.Now()); changed || len(errs) > 0 {
			t.Errorf("%s: Refresh() again = %v, %v, want nothing", when, changed, errs)
		}
	}
	refresh("nothing changed", false, "")
	for _, bad := range []struct {
		name    string
		change  func()
		problem string
	}{
		{"key of no use", func() { mtlstest.Put(t, files.Key, []byte("no key")) }, "cert_file " + files.Cert + ", key_file " + files.Key + ": tls: "},
		{"key gone", func() { _ = os.Remove(files.Key) }, "key_file " + files.Key + ": no such file or directory"},
		{"another's key", func() { by.Write(t, mtls.Files{Cert: files.CA, Key: files.Key, CA: files.CA}, time.Hour) }, "private key does not match public key"},
		{"expired", func() { by.Write(t, files, -time.Minute, "expired.example") }, ": expired at "},
	} {
		bad.change()
		refresh(bad.name, false, bad.problem)
		serves(bad.name, "old.example")
	}
	sessions := tls.NewLRUClientSessionCache(1)
	resuming := trusting(by, "other.example")
	resuming.ClientSessionCache = sessions
	if state, err := shake(t, s, resuming); err != nil || state.DidResume {
		t.Fatalf("first handshake resumed %v, %v, want a whole one", state.DidResume, err)
	}
	by.Write(t, files, 2*time.Hour, "new.example")
	refresh("good files", true, "")
	serves("good files", "new.example")
	if state, err := shake(t, s, resuming); err != nil || !state.DidResume {
		t.Errorf("handshake after the change resumed %v, %v, want that", state.DidResume, err)
	}
	if left := time.Until(s.Expiries()[0].At); left < time.Hour {
		t.Errorf("the new certificate expires in %v, want 2h", left)
	}
}

// A session of a client whose authority is believed no more is not resumed.
func TestAuthorityGone(t *testing.T) {
	by, next := mtlstest.New(t, "authority"), mtlstest.New(t, "next")
	clients := filepath.Join(t.TempDir(), "clients.pem")
	mtlstest.Put(t, clients, by.PEM())
	s := open(t, certs.Files{Pairs: []certs.Pair{pair(t, by, "a.example")}, ClientCA: clients, RequireClient: true})
	p := pair(t, by, "client")
	own, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := trusting(by, "a.example")
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	for _, resumed := range []bool{false, true} {
		if state, err := shake(t, s, config); err != nil || state.DidResume != resumed {
			t.Fatalf("handshake resumed %v, %v, want %v", state.DidResume, err, resumed)
		}
	}
	mtlstest.Put(t, clients, next.PEM())
	if changed, errs := s.Refresh(time.Now()); !changed || len(errs) > 0 {
		t.Fatalf("Refresh() = %v, %v", changed, errs)
	}
	if _, err := shake(t, s, config); err == nil {
		t.Error("a client of an authority that is believed no more is let in")
	}
}

func TestOpenRefuses(t *testing.T) {
	by := mtlstest.New(t, "authority")
	good := pair(t, by, "a.example")
	folder := t.TempDir()
	large := filepath.Join(folder, "large")
	mtlstest.Put(t, large, make([]byte, 2<<20))
	for _, test := range []struct {
		name  string
		files certs.Files
		want  string
	}{
		{"none", certs.Files{}, "certificates: got 0 (want 1 to 1000)"},
		{"no file", certs.Files{Pairs: []certs.Pair{{Cert: "none.crt", Key: good.Key}}}, "cert_file none.crt: no such file or directory"},
		{"no key", certs.Files{Pairs: []certs.Pair{{Cert: good.Cert, Key: "none.key"}}}, "key_file none.key: no such file or directory"},
		{"second no good", certs.Files{Pairs: []certs.Pair{good, {Cert: "none.crt", Key: good.Key}}}, "cert_file none.crt: no such file or directory"},
		{"folder", certs.Files{Pairs: []certs.Pair{{Cert: folder, Key: good.Key}}}, "cert_file " + folder + ": not a file"},
		{"device", certs.Files{Pairs: []certs.Pair{{Cert: "/dev/zero", Key: good.Key}}}, "cert_file /dev/zero: not a file"},
		{"large", certs.Files{Pairs: []certs.Pair{{Cert: large, Key: good.Key}}}, "cert_file " + large + ": larger than 1048576 bytes"},
		{"swapped", certs.Files{Pairs: []certs.Pair{{Cert: good.Key, Key: good.Cert}}}, "cert_file " + good.Key + ", key_file " + good.Cert + ": tls: "},
		{"twice", certs.Files{Pairs: []certs.Pair{good, good}}, "cert_file " + good.Cert + ": stands twice (want each once)"},
		{"no authority", certs.Files{Pairs: []certs.Pair{good}, ClientCA: good.Key}, "client_ca_file " + good.Key + ": got no certificate (want at least one in PEM)"},
		{"authority required", certs.Files{Pairs: []certs.Pair{good}, RequireClient: true}, "require_client_certificate: got no client_ca_file (want one)"},
	} {
		if _, err := certs.Open(test.files); !like(err, test.want) {
			t.Errorf("%s: Open() = %v, want %q", test.name, err, test.want)
		}
	}
	files := mtlstest.Files(t)
	by.Write(t, files, -time.Minute, "expired.example")
	if _, err := certs.Open(certs.Files{Pairs: []certs.Pair{{Cert: files.Cert, Key: files.Key}}}); err != nil {
		t.Errorf("Open() of an expired certificate = %v, want it as it is", err)
	}
}

// like reports whether the error has part, or there is neither.
func like(err error, part string) bool {
	if err == nil {
		return part == ""
	}
	return part != "" && strings.Contains(err.Error(), part)
}
