package main

import (
	"bytes"
	"os"
	"testing"
)

func TestNotLoopback(t *testing.T) {
	const want = "controlplane: --grpc: got 0.0.0.0:0, which is not loopback " +
		"(want a loopback address, mutual TLS by --tls-cert, or --insecure for plaintext on a network you trust) (see controlplane --help)\n"
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--grpc", "0.0.0.0:0", "no-such-file.yaml"}, &stdout, &stderr); code != 2 || stderr.String() != want {
		t.Errorf("run() = %d, stderr %q, want 2, %q", code, stderr.String(), want)
	}
}

// TestBadFile checks that a start and --check say the same, only that a start names the file in full.
func TestBadFile(t *testing.T) {
	t.Chdir(t.TempDir())
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bad := "services:\n  - name: users\n    route_pattern: users\n    urls: [\"http://127.0.0.1:1\"]\n    middleware: [metrcs]\n"
	if err := os.WriteFile("bad.yaml", []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	found := func(file string) string {
		return file + `:3:20: services[0].route_pattern: character 1: no path, got "users" (want "/users", or "users/" for a host)` + "\n" +
			file + `:5:18: services[0].middleware[0]: unknown middleware, got "metrcs", did you mean metrics?` + "\n2 mistakes\n"
	}
	tests := []struct {
		name, stdout, stderr string
		args                 []string
	}{
		{"check", found("bad.yaml"), "", []string{"--check", "bad.yaml"}},
		{"start", "", found(folder + "/bad.yaml"), []string{"bad.yaml"}},
		{"check of none", "", "controlplane: --check: stat none.yaml: no such file or directory\n", []string{"--check", "none.yaml"}},
		{
			"start without", "", "controlplane: --config: no such file, got " + folder + "/configs/gateway.yaml " +
				"(want the configuration file: --config FILE, or FILE alone)\n", nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append(tt.args, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "error")
			code := run(t.Context(), args, &stdout, &stderr)
			if code != 1 || stdout.String() != tt.stdout || stderr.String() != tt.stderr {
				t.Errorf("run(%q) = %d, want 1\nstdout %swant   %s\nstderr %swant   %s", args, code,
					stdout.String(), tt.stdout, stderr.String(), tt.stderr)
			}
		})
	}
}
