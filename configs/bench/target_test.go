package main

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// Every proxy is told the same facts. Whether it understands them, check finds out when it runs.
func TestTemplates(t *testing.T) {
	dir := t.TempDir()
	p := place{
		Listen: "127.0.0.1:8000", Backends: []string{"127.0.0.1:8001", "127.0.0.1:8002"}, Cores: 2, Dir: dir, KeyMap: dir + "/keys.map",
		Keys: makeKeys(3), Limit: limit, Connections: 33, Body: mib,
	}
	encrypted := func(p *place) { p.Cert, p.Key, p.Both = "/cert.pem", "/key.pem", "/both.pem" }
	open := func(p *place) { p.Open = true }
	tests := []struct {
		name string
		edit func(*place)
		want []string // lines, in order
		not  string
	}{
		{name: "gateway.yaml", want: []string{
			`port: "127.0.0.1:8000"`, "      - {name: client-0002, key: secret-of-the-client-0002}",
			`    urls: ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]`,
			"    middleware: [auth_apikey, rate_limit, circuit_breaker, metrics]", "    rate_limit_rps: 100000000",
		}},
		{name: "haproxy.cfg", want: []string{
			"  nbthread 2", "  bind 127.0.0.1:8000", "  http-request set-var(txn.key) req.hdr(X-API-KEY),map_str(" + dir + "/keys.map)",
			"  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000000 }", "  server b0 127.0.0.1:8001", "  server b1 127.0.0.1:8002",
		}},
		{name: "nginx.conf", not: "user root;", want: []string{
			"worker_processes 2;", "    secret-of-the-client-0002 client-0002;", "  limit_req_zone $gateway_key zone=limits:10m rate=100000000r/s;",
			"    server 127.0.0.1:8001 max_fails=6 fail_timeout=15s;", "    server 127.0.0.1:8002 max_fails=6 fail_timeout=15s;", "    listen 127.0.0.1:8000 reuseport;",
		}},
		{name: "nginx.conf", edit: func(p *place) { p.Root = true }, want: []string{"user root;", "events { worker_connections 66; }"}},
		{name: "gateway.yaml", edit: encrypted, want: []string{`tls: {certificates: [{cert_file: "/cert.pem", key_file: "/key.pem"}]}`}},
		{name: "haproxy.cfg", edit: encrypted, want: []string{
			"  ssl-default-bind-options ssl-min-ver TLSv1.3", "  bind 127.0.0.1:8000 ssl crt /both.pem", "  http-request set-header X-Forwarded-Proto https",
		}},
		{name: "nginx.conf", edit: encrypted, want: []string{
			"    listen 127.0.0.1:8000 reuseport ssl;", "    ssl_certificate /cert.pem;", "    ssl_certificate_key /key.pem;", "    location /users {",
		}},
		{name: "gateway.yaml", edit: open, want: []string{`    route_pattern: "/"`, "    middleware: [rate_limit, circuit_breaker, metrics]"}},
		{name: "haproxy.cfg", edit: open, not: "  use_backend users if { path_beg /users }", want: []string{"  http-request set-var(txn.key) str(anybody)", "  default_backend users"}},
		{name: "nginx.conf", edit: open, not: `      if ($gateway_key = "") { return 401; }`, want: []string{"    location / {"}},
		{name: "keys.map", want: []string{"secret-of-the-client-0000 client-0000", "secret-of-the-client-0001 client-0001", "secret-of-the-client-0002 client-0002"}},
		{name: "upload.lua", want: []string{`wrk.body = string.rep("x", 1048576)`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			if tt.edit != nil {
				tt.edit(&p)
			}
			path, err := p.write(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(text), "\n")
			if tt.not != "" && slices.Contains(lines, tt.not) {
				t.Errorf("line %q is in\n%s", tt.not, text)
			}
			for _, want := range tt.want {
				at := slices.Index(lines, want)
				if at < 0 {
					t.Fatalf("line %q is not, or not in order, in\n%s", want, text)
				}
				lines = lines[at+1:]
			}
		})
	}
}

func TestFreeAddresses(t *testing.T) {
	first, err := freeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", first[2])
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ports.Add(-1) // look at the taken one again
	second, err := freeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, address := range slices.Concat(first, second) {
		if seen[address] {
			t.Errorf("%s came twice", address)
		}
		seen[address] = true
	}
}
