package cli

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// TestKeysAddUncertain covers requests of which nobody knows what became: the secret is shown, since it may be valid.
func TestKeysAddUncertain(t *testing.T) {
	const doubt = "; alice may or may not be stored: 'gatewayctl keys show alice' lists the secret ID if it is, " +
		"and the same command with --key and this secret is safe to repeat\n"
	hang := func(ctx context.Context, _ *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	broken := func(context.Context, *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
		return nil, status.Error(codes.Internal, "store: fsync failed")
	}
	tests := []struct {
		name, line string
		fake       *fake
		stdout     string
		stderr     string
	}{
		{
			"table", "keys add alice", &fake{add: broken},
			"SECRET      shown once: store it now\n", "gatewayctl: store: fsync failed" + doubt,
		},
		{
			"JSON", "keys add alice -o json", &fake{add: broken},
			`{"key":null,"secret":"SECRET","revision":null}` + "\n", "gatewayctl: store: fsync failed" + doubt,
		},
		{
			"deadline", "keys add alice --timeout 50ms", &fake{add: hang},
			"SECRET      shown once: store it now\n", "gatewayctl: control plane ADDRESS: no answer within 50ms" + doubt,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := hidden(tt.fake.gatewayctl(t, tt.line))
			got.Stderr = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got.Stderr, "ADDRESS")
			if diff := cmp.Diff(result{1, tt.stdout, tt.stderr}, got); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// TestKeysAddInterrupted ends the process, as a signal does, while the key is being stored and while it waits.
func TestKeysAddInterrupted(t *testing.T) {
	t.Run("waiting", func(t *testing.T) {
		sent := make(chan struct{}, 1)
		f := &fake{add: stores, rollout: pagesOf[gatewayv1.WatchRolloutResponse]{
			pages: []*gatewayv1.WatchRolloutResponse{{Rollout: onTwo()}}, hang: true, sent: sent,
		}}
		got := f.interrupted(t, "keys add alice --wait -o json", sent)
		var out struct {
			Secret  string
			Rollout *struct{ Applied []any }
		}
		if err := json.Unmarshal([]byte(got.Stdout), &out); err != nil || !secretForm.MatchString(out.Secret) || out.Rollout == nil {
			t.Errorf("stdout = %q, want an object with secret and rollout (%v)", got.Stdout, err)
		}
		if want := "gatewayctl: stored, but not proven: interrupted\n"; got.Code != 3 || got.Stderr != want {
			t.Errorf("exit %d, stderr %q, want 3, %q", got.Code, got.Stderr, want)
		}
	})
	t.Run("storing", func(t *testing.T) {
		began := make(chan struct{}, 1)
		f := &fake{add: func(ctx context.Context, _ *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		got := f.interrupted(t, "keys add alice -o json", began)
		if got.Code != 1 || !secretForm.MatchString(got.Stdout) || !strings.HasPrefix(got.Stderr, "gatewayctl: interrupted; alice may") {
			t.Errorf("got %+v, want exit 1 and the secret", got)
		}
	})
}

// interrupted runs a command line and ends its context once at says so.
func (f *fake) interrupted(t *testing.T, line string, at <-chan struct{}) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p, stdout, stderr := process(line, f.start(t))
	go func() {
		<-at
		cancel()
	}()
	code := Run(ctx, p)
	return result{code, stdout.String(), stderr.String()}
}

// brokenPipe is a stdout whose reader is gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestKeysAddWithoutStdout(t *testing.T) {
	for _, line := range []string{"keys add alice", "keys add alice -o json"} {
		f := &fake{add: stores}
		p, _, stderr := process(line, f.start(t))
		p.Stdout = brokenPipe{}
		code := Run(t.Context(), p)
		if got := hidden(result{code, "", stderr.String()}); got.Code != 1 ||
			got.Stderr != "gatewayctl: stdout: broken pipe; the secret of alice is SECRET\n" {
			t.Errorf("gatewayctl %s = %+v, want the secret on stderr", line, got)
		}
	}
}
