package mtls_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"apigateway/proto/mtls"
	"apigateway/proto/mtls/mtlstest"
)

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
	ours, theirs := mtlstest.New(t, "ours"), mtlstest.New(t, "theirs")
	for _, test := range []struct {
		name           string
		server, client *mtlstest.Authority
		believed       *mtlstest.Authority // by the client; nil: its own
		dialled        string
		served, got    string // parts of the errors
	}{
		{"both of one authority", ours, ours, nil, "127.0.0.1:1", "", ""},
		{"foreign client", ours, theirs, ours, "127.0.0.1:1", "certificate signed by unknown authority", "remote error: tls: unknown certificate authority"},
		{"foreign server", theirs, ours, nil, "127.0.0.1:1", "remote error: tls: bad certificate", "certificate signed by unknown authority"},
		{"another name", ours, ours, nil, "localhost:1", "remote error: tls: bad certificate", "certificate is not valid for any names, but wanted to match localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			own, peer := mtlstest.Files(t), mtlstest.Files(t)
			test.server.Write(t, own, time.Hour)
			test.client.Write(t, peer, time.Hour)
			if test.believed != nil {
				mtlstest.Put(t, peer.CA, test.believed.PEM())
			}
			server, err := mtls.Server(own, nil)
			if err != nil {
				t.Fatal(err)
			}
			client, err := mtls.Client(peer, nil)
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
	ours := mtlstest.New(t, "ours")
	files := mtlstest.Files(t)
	ours.Write(t, files, time.Hour)
	var log bytes.Buffer
	server, err := mtls.Server(files, slog.New(slog.NewTextHandler(&log, nil)))
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
	first, second := mtlstest.New(t, "first"), mtlstest.New(t, "second")
	own, peer := mtlstest.Files(t), mtlstest.Files(t)
	first.Write(t, own, time.Hour)
	first.Write(t, peer, time.Hour)
	var log bytes.Buffer
	server, err := mtls.Server(own, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	client, err := mtls.Client(peer, nil)
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
		"no PEM":         func() { mtlstest.Put(t, own.Key, []byte("no key")) },
		"no file":        func() { _ = os.Remove(own.Key) },
		"no certificate": func() { mtlstest.Put(t, own.Cert, nil) },
		"expired":        func() { first.Write(t, own, -time.Minute) },
		"key of no use": func() {
			first.Write(t, mtls.Files{Cert: own.Cert, Key: filepath.Join(t.TempDir(), "other"), CA: own.CA}, time.Hour)
		},
		"empty authority":  func() { mtlstest.Put(t, own.CA, []byte("\n")) },
		"the same content": func() { mtlstest.Put(t, own.Key, kept) },
	} {
		change()
		log.Reset()
		expect(when, true)
		expect(when, true)
		if told := strings.Count(log.String(), "the earlier ones stay in force"); told > 1 {
			t.Errorf("%s was logged %d times, want at most once:\n%s", when, told, log.String())
		}
	}
	second.Write(t, own, time.Hour)
	expect("server of another authority", false)
	second.Write(t, peer, time.Hour)
	expect("both of another authority", true)
}

func TestBadFilesAreRefused(t *testing.T) {
	ours := mtlstest.New(t, "ours")
	for _, test := range []struct {
		name string
		edit func(*mtls.Files)
		want string
	}{
		{"no certificate", func(f *mtls.Files) { f.Cert = "" }, "--tls-cert, --tls-key, --tls-ca: got no --tls-cert (want all three, or none for plaintext)"},
		{"one of three", func(f *mtls.Files) { f.Cert, f.CA = "", "" }, "--tls-cert, --tls-key, --tls-ca: got no --tls-cert and no --tls-ca (want all three, or none for plaintext)"},
		{"no such file", func(f *mtls.Files) { f.Key = "none.pem" }, "--tls-key: open none.pem: "},
		{"certificate for key", func(f *mtls.Files) { f.Key = f.Cert }, "--tls-key "},
		{"key for authority", func(f *mtls.Files) { f.CA = f.Key }, "(want at least one in PEM)"},
		{"expired", func(f *mtls.Files) { ours.Write(t, *f, -time.Minute) }, ": expired at "},
		{"none", func(f *mtls.Files) { *f = mtls.Files{} }, "--tls-cert: open : "},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := mtlstest.Files(t)
			ours.Write(t, files, time.Hour)
			test.edit(&files)
			if _, err := mtls.Client(files, nil); !strings.Contains(text(err), test.want) {
				t.Errorf("Client() = %v, want %q", err, test.want)
			}
			if _, err := mtls.Server(files, nil); !strings.Contains(text(err), test.want) {
				t.Errorf("Server() = %v, want %q", err, test.want)
			}
		})
	}
	if (mtls.Files{}).Check() != nil || (mtls.Files{}).Given() {
		t.Error("no files are an error, want plain text")
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	files := mtlstest.Files(t)
	mtlstest.New(t, "ours").Write(t, files, time.Hour)
	c, err := mtls.Client(files, nil)
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
