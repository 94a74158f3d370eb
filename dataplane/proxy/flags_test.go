package proxy

import (
	"io"
	"strings"
	"testing"
)

func TestFlagsAreChecked(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // how the error begins, "" for none
	}{
		{"id", []string{"--id", "Edge-1.b_c:8080"}, ""},
		{"id of 128 bytes", []string{"--id", strings.Repeat("a", 128)}, ""},
		{"id of 129 bytes", []string{"--id", strings.Repeat("a", 129)}, `--id: got "aaa`},
		{"id out of the folder", []string{"--id", "../../etc"}, `--id: got "../../etc" (want `},
		{"id is the folder", []string{"--id", "."}, `--id: got "." (want `},
		{"id is the folder above", []string{"--id", ".."}, `--id: got ".." (want `},
		{"id with a line end", []string{"--id", "edge\n"}, `--id: got "edge\n" (want `},
		{"listen", []string{"--listen", "[::1]:0"}, ""},
		{"listen without a colon", []string{"--listen", "8080x"}, `--listen: got "8080x" (want `},
		{"listen on no number", []string{"--listen", ":8080x"}, `--listen: got ":8080x" (want `},
		{"listen beyond the last port", []string{"--listen", ":65536"}, `--listen: got ":65536" (want `},
		{"listen without a port", []string{"--listen", "localhost:", "--id", "a"}, `--listen: got "localhost:" (want `},
		{"admin", []string{"--admin", ":6060"}, ""},
		{"no admin", []string{"--admin", ""}, `--admin: got "" (want `},
		{"admin without a port", []string{"--admin", "localhost"}, `--admin: got "localhost" (want `},
		{"no control plane", []string{"--controlplane", ""}, `--controlplane: got none (want `},
		{"an empty control plane", []string{"--controlplane", "localhost:1,", "--insecure"}, `--controlplane: got an empty address in ["localhost:1" ""] (want `},
		{"a part of TLS", []string{"--tls-ca", "ca.pem"}, "--tls-cert, --tls-key, --tls-ca: got no --tls-cert and no --tls-key (want "},
		{"TLS beyond loopback", []string{"--controlplane", "10.0.0.1:18000", "--tls-cert", "a", "--tls-key", "b", "--tls-ca", "c"}, ""},
		{"TLS and plaintext", []string{"--insecure", "--tls-cert", "a", "--tls-key", "b", "--tls-ca", "c"}, "--insecure: got it beside --tls-cert (want "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseFlags(tt.args, io.Discard, io.Discard)
			if tt.want == "" {
				if err != nil {
					t.Errorf("parseFlags(%q) = %v, want no error", tt.args, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("parseFlags(%q) = %v, want %q", tt.args, err, tt.want)
			}
		})
	}
}

func TestWrongUsageExitsWith2(t *testing.T) {
	if got := Main(t.Context(), []string{"--id", ".."}); got != 2 {
		t.Errorf("Main = %d, want 2", got)
	}
}
