package config

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apigateway/proto/apikey"
)

var update = flag.Bool("update", false, "rewrite golden files")

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parse fails the test if data has a mistake.
func parse(t *testing.T, file string, data []byte) (c *Config, warnings Mistakes) {
	t.Helper()
	c, mistakes, warnings := Parse(file, data)
	if len(mistakes) > 0 {
		t.Fatalf("Parse(%s): unexpected mistakes:\n%v", file, mistakes)
	}
	return c, warnings
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(badFiles) {
		t.Errorf("%d bad files, but messages for %d", len(files), len(badFiles))
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			c, mistakes, _ := Parse(name, read(t, name))
			if c != nil {
				t.Error("Parse returned a Config beside mistakes")
			}
			var got []string
			for _, m := range mistakes {
				line, ok := strings.CutPrefix(m.String(), name+":")
				if !ok || strings.Contains(line, "hush") || strings.ContainsAny(line, "\n\t\a") {
					t.Errorf("message without file, with a secret or with a control character: %q", m)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(badFiles[strings.TrimSuffix(name, ".bad.yaml")], got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestContractExamples(t *testing.T) {
	service := "  - name: s%\n    route_pattern: /%\n    urls: [http://a]\n"
	lines := "services:\n" + strings.ReplaceAll(service, "%", "1") + strings.Repeat("\n", 14) +
		"    rate_limit_rsp: 5\n" + strings.ReplaceAll(service, "%", "2") + strings.Repeat("\n", 5) +
		"  - name: s3\n    route_pattern: /3\n    urls:         [\"localhost:9001\"]\n"
	_, mistakes, _ := Parse("gateway.yaml", []byte(lines))
	want := "gateway.yaml:19:5: services[0].rate_limit_rsp: unknown field, did you mean rate_limit_rps?\n" +
		"gateway.yaml:30:20: services[2].urls[0]: not an absolute URL, got \"localhost:9001\" (want http:// or https://, for HTTP/2 h2c:// or h2://)"
	if diff := cmp.Diff(want, mistakes.Error()); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	got, warnings := parse(t, "gateway.yaml", read(t, "gateway.yaml"))
	key := func(secret string, column int) Key {
		hash := apikey.Hash(secret)
		return Key{Name: apikey.FileName(hash), Hash: hash, SecretID: apikey.HashID(hash), Line: 4, Column: column}
	}
	want := &Config{
		Port:    ":8080",
		MaxBody: 10 << 20,
		Transport: Transport{
			MaxIdle: 20000, MaxIdlePerHost: 5000, IdleTimeout: 90 * time.Second, ConnectTimeout: 10 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, FirstByteTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second,
		},
		Listener: Listener{
			HeadTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, IdleTimeout: time.Minute,
			MaxRequests: 10000, MaxAge: time.Hour, MaxConnections: 10000,
		},
		Limits: Limits{RateLimitBuckets: 1000000},
		Keys:   []Key{key("abc-123", 18), key("dwe-569", 29)},
		Services: []Service{{
			Name: "users", Line: 6, RoutePattern: "/users", URLs: []string{"http://localhost:8081", "http://localhost:8083"},
			Middleware:   []string{"auth_apikey", "rate_limit", "circuit_breaker", "metrics"},
			RateLimitRPS: 200, RateLimitBurst: 400, CBFailureThreshold: 6, CBResetTimeout: 15 * time.Second,
			MaxBody: 10 << 20, FirstByteTimeout: 30 * time.Second, StreamIdleTimeout: time.Hour, WebSocket: true,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse(gateway.yaml) (-want +got):\n%s", diff)
	}
	if len(warnings) > 0 {
		t.Errorf("unexpected warnings:\n%v", warnings)
	}
}

func TestEverySetting(t *testing.T) {
	got, _ := parse(t, "everything.yaml", read(t, "everything.yaml"))
	want := &Config{
		Port: "127.0.0.1:9000",
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
			netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.2/32"),
		},
		PassUnderscoreHeaders: true,
		MaxBody:               64 << 10,
		Transport: Transport{
			MaxIdle: 1, MaxIdlePerHost: 2, IdleTimeout: 3 * time.Second, ConnectTimeout: 4 * time.Second,
			TLSHandshakeTimeout: 5 * time.Second, FirstByteTimeout: 6 * time.Second, ReadTimeout: 7 * time.Second,
		},
		Listener: Listener{
			HeadTimeout: 8 * time.Second, BodyTimeout: 9 * time.Second, IdleTimeout: 10 * time.Second,
			MaxRequests: 11, MaxAge: 12 * time.Second, MaxConnections: 13,
		},
		TLS: &TLS{
			Certificates: []Certificate{{"/etc/a.crt", "/etc/a.key"}, {"b.crt", "b.key"}}, ClientCAFile: "/etc/clients.pem",
			RequireClientCertificate: true,
		},
		Limits:     Limits{RateLimitBuckets: 14},
		ForwardKey: true,
		Keys: []Key{
			{Name: apikey.FileName(apikey.Hash("plain")), Hash: apikey.Hash("plain"), SecretID: apikey.SecretID("plain"), Line: 23, Column: 9},
			{Name: "alice", Hash: apikey.Hash("secret"), SecretID: apikey.SecretID("secret"), Line: 24, Column: 9},
			{Name: "bob", Hash: apikey.Hash("hello world"), SecretID: "b94d27b9934d", Line: 25, Column: 9},
		},
		Middleware: []MiddlewareConfig{
			{"alpha", []byte(`{"date":"2024-01-01","nested":{"a":1,"b":2},"none":null,"numbers":[1,-2.5,1e3],"on":true,"text":"\u003ca \u0026 b\u003e"}`)},
			{"zeta", []byte(`{}`)},
		},
		Services: []Service{{
			Name: "first", Line: 37, RoutePattern: "GET api.example.com/first/{id}",
			URLs:         []string{"https://a.example.com/base", "http://[::1]:8081", "h2c://b.example:50051", "h2://c.example"},
			Middleware:   []string{"metrics", "zeta", "auth_apikey", "alpha"},
			RateLimitRPS: 0.5, RateLimitBurst: 15, CBFailureThreshold: 16, CBResetTimeout: 250 * time.Millisecond, MaxBody: 0,
			FirstByteTimeout: 90 * time.Second, StreamIdleTimeout: 18 * time.Second, Timeout: 19 * time.Second,
			UpstreamHost: true, WebSocket: false, RefuseEncodedSlash: true,
			UpstreamTLS: UpstreamTLS{CAFile: "/etc/ca.pem", ServerName: "users.internal", CertFile: "client.pem", KeyFile: "client.key"},
		}, {
			Name: "second", Line: 53, RoutePattern: "/second", URLs: []string{"http://b"}, Middleware: []string{"metrics"},
			RateLimitRPS: 100, RateLimitBurst: 200, CBFailureThreshold: 5, CBResetTimeout: 10 * time.Second,
			MaxBody: 64 << 10, FirstByteTimeout: 6 * time.Second, StreamIdleTimeout: time.Hour, WebSocket: true,
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("Parse(everything.yaml) (-want +got):\n%s", diff)
	}
}

// TestSamples checks that every sample that users start from is clean.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../../configs/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if c, _ := parse(t, file, data); len(c.Services) == 0 {
			t.Errorf("%s has no services", file)
		}
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		file string
		want string
	}{
		{"warnings.yaml", `warnings.yaml:2:5: services[0]: no middleware: service open is open to the world
warnings.yaml:3:73: services[1].middleware[0]: rate_limit before auth_apikey counts by client IP, not by key
warnings.yaml:3:85: services[1].middleware[1]: no valid key in this file: auth_apikey admits only keys of the store (gatewayctl keys add)`},
		{"warnings_keys.yaml", `warnings_keys.yaml:3:18: middleware_config.auth_apikey.valid_keys[0]: keys are listed, but no service has auth_apikey in its middleware
warnings_keys.yaml:3:25: middleware_config.auth_apikey.valid_keys[1]: begins like a made key, but is none: key: not of the form gk_<12 digits>_<28 digits>
warnings_keys.yaml:3:51: middleware_config.auth_apikey.valid_keys[2]: begins like a made key, but is none: key: wrong checksum (mistyped?)`},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			_, warnings := parse(t, tt.file, read(t, tt.file))
			if diff := cmp.Diff(tt.want, warnings.Error()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTable(t *testing.T) {
	const golden = "testdata/settings.md"
	if *update {
		if err := os.WriteFile(golden, []byte(Table()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, "settings.md")), Table()); diff != "" {
		t.Errorf("%s differs, run go test -update (-want +got):\n%s", golden, diff)
	}
	// Every setting of the table is in everything.yaml, so TestEverySetting has seen it decoded.
	everything := string(read(t, "everything.yaml"))
	for _, s := range Settings() {
		name := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
		if name != "<name>" && !strings.Contains(everything, name+":") {
			t.Errorf("testdata/everything.yaml lacks %s", s.Name)
		}
	}
}
