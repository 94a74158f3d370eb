package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

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
			giveUp := time.AfterFunc(30*time.Second, func() { close(in.gone) })
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

// slow is a file that takes its time.
type slow struct {
	io.Reader
	delay time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.delay) // of a bubble
	return s.Reader.Read(p)
}

// uploads is a control plane that takes files as long as their requests last.
type uploads struct {
	gatewayv1.ConfigServiceClient
	grpc.ClientStreamingClient[gatewayv1.ValidateConfigRequest, gatewayv1.ValidateConfigResponse]
	ctx  context.Context
	data []byte
}

func (u *uploads) ValidateConfig(ctx context.Context, _ ...grpc.CallOption) (grpc.ClientStreamingClient[gatewayv1.ValidateConfigRequest, gatewayv1.ValidateConfigResponse], error) {
	u.ctx = ctx
	return u, nil
}

func (u *uploads) Send(r *gatewayv1.ValidateConfigRequest) error {
	u.data = append(u.data, r.GetData()...)
	return u.ctx.Err()
}

func (u *uploads) CloseAndRecv() (*gatewayv1.ValidateConfigResponse, error) {
	return &gatewayv1.ValidateConfigResponse{}, u.ctx.Err()
}

// TestSlowFile takes longer over the file than the control plane may over its answer.
func TestSlowFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &uploads{}
		c := &client{timeout: time.Second, config: u}
		_, err := send(t.Context(), c, "stdin", slow{strings.NewReader("port: x"), time.Minute})
		if err != nil || string(u.data) != "port: x" {
			t.Errorf("send() = %v, sent %q, want the whole file", err, u.data)
		}
	})
}
