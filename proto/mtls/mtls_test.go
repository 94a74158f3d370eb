package mtls

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write makes files of a certificate for the loopback that is valid for a while from now, negative: until then.
func (a *authority) write(t *testing.T, files Files, valid time.Duration) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "program"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	own := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	put(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	put(t, files.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newFiles(t *testing.T) Files {
	t.Helper()
	dir := t.TempDir()
	return Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
}

// shake tries a handshake for a name and returns how it went on both sides. A client notices that it is refused with its first read.
func shake(t *testing.T, server, client credentials.TransportCredentials, name string) (served, dialled string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	end := make(chan string, 1)
	go func() {
		raw, err := l.Accept()
		if err == nil {
			defer raw.Close()
			var conn net.Conn
			if conn, _, err = server.ServerHandshake(raw); err == nil {
				_, err = conn.Write([]byte{1})
			}
		}
		end <- text(err)
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn, _, err := client.ClientHandshake(t.Context(), name, raw)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	raw.Close()
	return <-end, text(err)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHandshake(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	for _, test := range []struct {
		name           string
		server, client *authority
		believed       *authority // by the client; nil: its own
		dialled        string
		served, got    string // parts of the errors
	}{
		{"both of one authority", ours, ours, nil, "127.0.0.1:1", "", ""},
		{"foreign client", ours, theirs, ours, "127.0.0.1:1", "certificate signed by unknown authority", "remote error: tls: unknown certificate authority"},
		{"foreign server", theirs, ours, nil, "127.0.0.1:1", "remote error: tls: bad certificate", "certificate signed by unknown authority"},
		{"another name", ours, ours, nil, "localhost:1", "remote error: tls: bad certificate", "certificate is not valid for any names, but wanted to match localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			own, peer := newFiles(t), newFiles(t)
			test.server.write(t, own, time.Hour)
			test.client.write(t, peer, time.Hour)
			if test.believed != nil {
				put(t, peer.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: test.believed.cert.Raw}))
			}
			server, err := Server(own, nil)
			if err != nil {
				t.Fatal(err)
			}
			client, err := Client(peer, nil)
			if err != nil {
				t.Fatal(err)
			}
			served, got := shake(t, server.Clone(), client.Clone(), test.dialled)
			if !like(served, test.served) || !like(got, test.got) {
				t.Errorf("the server says %q and the client %q, want %q and %q", served, got, test.served, test.got)
			}
		})
	}
}

// like reports whether text has part, or both are empty.
func like(text, part string) bool {
	return strings.Contains(text, part) && (part != "") == (text != "")
}

func TestClientWithoutCertificate(t *testing.T) {
	ours := newAuthority(t, "ours")
	files := newFiles(t)
	ours.write(t, files, time.Hour)
	var log bytes.Buffer
	server, err := Server(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := credentials.NewClientTLSFromFile(files.CA, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	served, got := shake(t, server, authorities, "127.0.0.1:1")
	if want := "client didn't provide a certificate"; !strings.Contains(served, want) || !strings.Contains(log.String(), want) {
		t.Errorf("the server says %q and logs %q, want %q", served, log.String(), want)
	}
	if want := "remote error: tls: certificate required"; got != want {
		t.Errorf("the client says %q, want %q", got, want)
	}
}

func TestFilesChange(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	own, peer := newFiles(t), newFiles(t)
	first.write(t, own, time.Hour)
	first.write(t, peer, time.Hour)
	var log bytes.Buffer
	server, err := Server(own, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	client, err := Client(peer, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when string, ok bool) {
		t.Helper()
		if served, got := shake(t, server, client, "127.0.0.1:1"); (served+got == "") != ok {
			t.Errorf("%s: the server says %q and the client %q, want success %v", when, served, got, ok)
		}
	}
	expect("at first", true)
	kept, err := os.ReadFile(own.Key)
	if err != nil {
		t.Fatal(err)
	}
	for when, change := range map[string]func(){
		"no PEM":           func() { put(t, own.Key, []byte("no key")) },
		"no file":          func() { _ = os.Remove(own.Key) },
		"no certificate":   func() { put(t, own.Cert, nil) },
		"expired":          func() { first.write(t, own, -time.Minute) },
		"key of no use":    func() { first.write(t, Files{own.Cert, filepath.Join(t.TempDir(), "other"), own.CA}, time.Hour) },
		"empty authority":  func() { put(t, own.CA, []byte("\n")) },
		"the same content": func() { put(t, own.Key, kept) },
	} {
		change()
		log.Reset()
		expect(when, true)
		expect(when, true)
		if told := strings.Count(log.String(), "the earlier ones stay in force"); told > 1 {
			t.Errorf("%s was logged %d times, want at most once:\n%s", when, told, log.String())
		}
	}
	second.write(t, own, time.Hour)
	expect("server of another authority", false)
	second.write(t, peer, time.Hour)
	expect("both of another authority", true)
}

func TestBadFilesAreRefused(t *testing.T) {
	ours := newAuthority(t, "ours")
	for _, test := range []struct {
		name string
		edit func(*Files)
		want string
	}{
		{"no certificate", func(f *Files) { f.Cert = "" }, "--tls-cert, --tls-key, --tls-ca: got no --tls-cert (want all three, or none for plaintext)"},
		{"one of three", func(f *Files) { f.Cert, f.CA = "", "" }, "--tls-cert, --tls-key, --tls-ca: got no --tls-cert and no --tls-ca (want all three, or none for plaintext)"},
		{"no such file", func(f *Files) { f.Key = "none.pem" }, "--tls-key: open none.pem: "},
		{"certificate for key", func(f *Files) { f.Key = f.Cert }, "--tls-key "},
		{"key for authority", func(f *Files) { f.CA = f.Key }, "(want at least one in PEM)"},
		{"expired", func(f *Files) { ours.write(t, *f, -time.Minute) }, ": expired at "},
		{"none", func(f *Files) { *f = Files{} }, "--tls-cert: open : "},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := newFiles(t)
			ours.write(t, files, time.Hour)
			test.edit(&files)
			if _, err := Client(files, nil); !strings.Contains(text(err), test.want) {
				t.Errorf("Client() = %v, want %q", err, test.want)
			}
			if _, err := Server(files, nil); !strings.Contains(text(err), test.want) {
				t.Errorf("Server() = %v, want %q", err, test.want)
			}
		})
	}
	if (Files{}).Check() != nil || (Files{}).Given() {
		t.Error("no files are an error, want plain text")
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	files := newFiles(t)
	newAuthority(t, "ours").write(t, files, time.Hour)
	c, err := Client(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.ClientHandshake(ctx, "127.0.0.1:1", near); err == nil {
		t.Error("a handshake without an end succeeds")
	}
}
