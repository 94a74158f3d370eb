package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// silent is the stdin of somebody who presses Ctrl-C instead of answering.
type silent struct {
	interrupt func()
	gone      chan struct{} // closed when nobody waits any more
}

func (s *silent) Read([]byte) (int, error) {
	s.interrupt()
	<-s.gone
	return 0, io.EOF
}

// TestInterruptedAtStdin covers the commands that wait for a person: one signal ends them.
func TestInterruptedAtStdin(t *testing.T) {
	for _, line := range []string{"dataplanes adopt --all", "keys add alice --key -", "config validate -"} {
		t.Run(line, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			in := &silent{interrupt: cancel, gone: make(chan struct{})}
			giveUp := time.AfterFunc(5*time.Second, func() { close(in.gone) })
			f := &fake{adopt: adopts, validate: func(string, []byte) (*gatewayv1.ValidateConfigResponse, error) { return nil, nil }}
			p, _, stderr := process(line, f.start(t))
			p.Stdin, p.Asks = in, true
			code := Run(ctx, p)
			if giveUp.Stop() {
				close(in.gone)
			} else {
				t.Errorf("gatewayctl %s went on reading", line)
			}
			said := strings.TrimPrefix(stderr.String(), question)
			if diff := cmp.Diff(result{1, "", "gatewayctl: interrupted\n"}, result{code, "", said}); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", line, diff)
			}
		})
	}
}

// slow is a stdin that takes its time.
type slow struct {
	io.Reader
	delay time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	<-time.After(s.delay)
	return s.Reader.Read(p)
}

// TestConfigValidateSlowInput takes longer over the file than the control plane may over its answer.
func TestConfigValidateSlowInput(t *testing.T) {
	f := &fake{validate: func(_ string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
		if string(data) != "port: x" {
			t.Errorf("ValidateConfig(%q), want the whole file", data)
		}
		return &gatewayv1.ValidateConfigResponse{}, nil
	}}
	p, _, stderr := process("config validate - --timeout 500ms", f.start(t))
	p.Stdin = slow{strings.NewReader("port: x"), time.Second}
	if code := Run(t.Context(), p); code != 0 {
		t.Errorf("config validate = %d, %q, want 0", code, stderr)
	}
}
