package main

import (
	"bytes"
	"testing"
)

func TestNotLoopback(t *testing.T) {
	const want = "controlplane: --grpc: got 0.0.0.0:0, which is not loopback " +
		"(want a loopback address, or --insecure for plaintext on a network you trust) (see controlplane --help)\n"
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--grpc", "0.0.0.0:0", "no-such-file.yaml"}, &stdout, &stderr); code != 2 || stderr.String() != want {
		t.Errorf("run() = %d, stderr %q, want 2, %q", code, stderr.String(), want)
	}
}
