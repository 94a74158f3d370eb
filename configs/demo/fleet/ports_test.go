package main

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckPorts(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().(*net.TCPAddr).Port
	free := freePorts(t, 7)
	tests := []struct {
		name   string
		change func(*options)
		want   []string // lines contain these, in order; none: no error
	}{
		{"free", func(*options) {}, nil},
		{"backend", func(o *options) { o.backends = ports{taken} }, []string{"--backend-ports: backend-1 cannot have 127.0.0.1:", "FLEET_FLAGS=\"--backend-ports ", "urls in gateway.yaml"}},
		{"public on loopback only", func(o *options) { o.proxies = ports{taken, free[2]} }, []string{"--proxy-ports: dataplane-1 cannot have :", "FLEET_FLAGS=\"--proxy-ports "}},
		{"admin", func(o *options) { o.admins = ports{free[3], taken} }, []string{"--admin-ports: dataplane-2 cannot have", "FLEET_FLAGS=\"--admin-ports "}},
		{"grpc and http", func(o *options) { o.grpc, o.http = local(taken), "127.0.0.1" }, []string{"--controlplane-grpc: ", "--controlplane-http: controlplane cannot have 127.0.0.1, address 127.0.0.1: missing port", "FLEET_FLAGS"}},
		{"same twice", func(o *options) { o.proxies = ports{free[1], free[0]} }, []string{"--proxy-ports: dataplane-2 cannot have :" + strconv.Itoa(free[0]) + ", --backend-ports gives the same port", "FLEET_FLAGS"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options{
				backends: free[:1], proxies: free[1:3], admins: free[3:5], grpc: local(free[5]), http: local(free[6]),
				config: "gateway.yaml",
			}
			tt.change(&o)
			got := ""
			if err := checkPorts(o); err != nil {
				got = err.Error()
			}
			lines := strings.Split(got, "\n")
			if len(tt.want) == 0 && got != "" || len(tt.want) > 0 && len(lines) != len(tt.want) {
				t.Fatalf("checkPorts = %q, want lines with %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d = %q, want it to contain %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestEveryFlagHasAnExample(t *testing.T) {
	o, err := parseFlags(nil, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan(o) {
		for _, s := range step {
			for _, l := range s.listen {
				if example[l.flag] == "" {
					t.Errorf("example lacks %s of %s", l.flag, s.name)
				}
			}
		}
	}
}

func TestParseFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"help", []string{"--help"}, 0},
		{"unknown", []string{"--nope"}, 2},
		{"not a port", []string{"--proxy-ports", "80,x"}, 2},
		{"port zero", []string{"--admin-ports", "0"}, 2},
		{"port too large", []string{"--backend-ports", "65536"}, 2},
		{"counts differ", []string{"--proxy-ports", "1,2,3"}, 2},
		{"argument", []string{"up"}, 2},
		{"nothing built", []string{"--bin", t.TempDir()}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(t.Context(), tt.args, t.Output(), t.Output()); got != tt.code {
				t.Errorf("run(%q) = %d, want %d", tt.args, got, tt.code)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	var screen strings.Builder
	out := &output{name: "a", console: &console{w: &screen, width: 3}}
	for _, part := range []string{"one\ntw", "o\r\n", "\nlast", strings.Repeat("x", longestLine)} {
		if n, err := out.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write = %d, %v, want %d, nil", n, err, len(part))
		}
	}
	out.flush()
	want := "a   | one\na   | two\na   | \na   | last" + strings.Repeat("x", longestLine) + "\n"
	if diff := cmp.Diff(want, screen.String()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
	for i := range 2 * keptLines {
		_, _ = out.Write([]byte(strconv.Itoa(i) + "\n"))
	}
	if len(out.last) != keptLines || out.last[0] != "10" {
		t.Errorf("kept lines = %q, want 10 to 19", out.last)
	}
}
