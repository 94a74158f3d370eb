package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// probe is a request and what has to become of it.
type probe struct {
	key    string // empty: none
	ask    int64  // bytes of the answer's body
	send   int64  // bytes of the request's body; 0: GET
	status int
}

// check returns an error unless a proxy does the work that is compared: 401 without a key and with an unknown one, 200 with a
// known one, through both backends, bodies whole both ways.
func check(ctx context.Context, b *bed, base string) error {
	key := b.key()
	roots, err := trusting(b.certs.cert)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: roots}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	probes := []probe{
		{ask: smallBody, status: http.StatusUnauthorized},
		{key: key + "x", ask: smallBody, status: http.StatusUnauthorized},
		{key: key, ask: mib, status: http.StatusOK},
		{key: key, ask: smallBody, send: mib, status: http.StatusOK},
	}
	for range 8 { // enough to meet both backends, whoever of two workers takes which turn
		probes = append(probes, probe{key: key, ask: smallBody, status: http.StatusOK})
	}
	seen := map[string]bool{}
	for _, p := range probes {
		text, err := p.run(ctx, client, base)
		if err != nil {
			return err
		}
		if p.status == http.StatusOK && p.ask == smallBody {
			seen[text] = true
		}
	}
	if len(seen) != 2 {
		return fmt.Errorf("check: answers of %d backends, got %v (want 2)", len(seen), seen)
	}
	return nil
}

func (p probe) run(ctx context.Context, client *http.Client, base string) (string, error) {
	method, upload := http.MethodGet, io.Reader(http.NoBody)
	if p.send > 0 {
		method, upload = http.MethodPost, bytes.NewReader(make([]byte, p.send))
	}
	req, err := http.NewRequestWithContext(ctx, method, base+bodyPath(p.ask), upload)
	if err != nil {
		return "", err
	}
	if p.key != "" {
		req.Header.Set("X-API-KEY", p.key)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != p.status {
		return "", fmt.Errorf("check: %s %s with key %q: got %s (want %d)", method, req.URL, p.key, resp.Status, p.status)
	}
	if p.status == http.StatusOK && int64(len(text)) != p.ask {
		return "", fmt.Errorf("check: %s %s: body of %d bytes (want %d)", method, req.URL, len(text), p.ask)
	}
	return string(text), nil
}
