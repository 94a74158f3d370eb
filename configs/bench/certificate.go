package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// certificate is the files of one for 127.0.0.1 that signs itself, and of its private key: ECDSA P-256.
type certificate struct{ cert, key, both string }

// makeCertificate writes one that is valid for a day around now.
func makeCertificate(dir string, now time.Time) (certificate, error) {
	c := certificate{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	public := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-12 * time.Hour), NotAfter: now.Add(12 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, public, public, private.Public(), private)
	if err != nil {
		return c, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return c, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return c, errors.Join(
		os.WriteFile(c.cert, cert, 0o600), os.WriteFile(c.key, key, 0o600), os.WriteFile(c.both, slices.Concat(cert, key), 0o600),
	)
}

// trusting is how clients connect to who has the certificate in a file: TLS 1.3, with the one key exchange that all proxies
// have, and nothing remembered of earlier connections. With no file, it is nil.
func trusting(cert string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate: %s: got none (want one in PEM)", cert)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}, nil
}
