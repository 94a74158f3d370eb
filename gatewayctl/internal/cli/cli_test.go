package cli

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestUsage(t *testing.T) {
	tests := []struct{ line, want string }{
		{"kyes list", `unknown command "kyes" for "gatewayctl", did you mean keys? (see gatewayctl --help)`},
		{"frobnicate", `unknown command "frobnicate" for "gatewayctl" (see gatewayctl --help)`},
		{"keys lst", `unknown command "lst" for "gatewayctl keys", did you mean list? (see gatewayctl keys --help)`},
		{"completion elvish", `unknown command "elvish" for "gatewayctl completion" (see gatewayctl completion --help)`},
		{"completion bash extra", `unknown command "extra" for "gatewayctl completion bash" (see gatewayctl completion bash --help)`},
		{"keys list --colour", "unknown flag: --colour (see gatewayctl keys list --help)"},
		{"keys list -x", "unknown shorthand flag: 'x' in -x (see gatewayctl keys list --help)"},
		{"keys list extra", "got 1 arguments (want none) (see gatewayctl keys list --help)"},
		{"keys list -o yaml", `--output: got "yaml" (want table or json) (see gatewayctl keys list --help)`},
		{"keys list --timeout 0s", "--timeout: got 0s (want more than 0, at most 1h) (see gatewayctl keys list --help)"},
		{"keys add a --wait --timeout 2562047h", "--timeout: got 2562047h0m0s (want more than 0, at most 1h) (see gatewayctl keys add --help)"},
		{"keys list --log-level loud", `--log-level: got "loud" (want debug, info, warn or error) (see gatewayctl keys list --help)`},
		{"keys list --log-format xml", `--log-format: got "xml" (want text or json) (see gatewayctl keys list --help)`},
		{"keys list --server nowhere", `--server: got "nowhere" (want HOST:PORT) (see gatewayctl keys list --help)`},
		{"keys list --server 10.0.0.5:18000", "--server: 10.0.0.5:18000 is not on this machine and the connection would be " +
			"plain text (--tls-cert makes it TLS, --insecure allows it) (see gatewayctl keys list --help)"},
		{"keys list --tls-cert a.pem", "--tls-cert, --tls-key, --tls-ca: got no --tls-key and no --tls-ca (want all three, or none for plaintext) (see gatewayctl keys list --help)"},
		{"keys list --insecure --tls-cert a --tls-key b --tls-ca c", "--insecure: got it beside --tls-cert (want one of them) (see gatewayctl keys list --help)"},
		{"breaker status a/b", `name: wrong character, got "a/b" (want A-Z a-z 0-9 . _ -) (see gatewayctl breaker status --help)`},
		{"dataplanes adopt", "want either IDs or --all (see gatewayctl dataplanes adopt --help)"},
		{"dataplanes adopt a --all", "want either IDs or --all (see gatewayctl dataplanes adopt --help)"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			f := &fake{}
			if diff := cmp.Diff(result{2, "", "gatewayctl: " + tt.want + "\n"}, f.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	tests := []struct {
		line           string
		code           int
		stdout, stderr string // what they contain; empty: nothing
	}{
		{"", 2, "", "Exit codes: 0 done"},
		{"keys", 2, "", "Add an API key"},
		{"completion", 2, "", "bash"},
		{"--help", 0, "Exit codes: 0 done", ""},
		{"help keys", 0, "Add an API key", ""},
		{"keys add --help", 0, "--expires-in", ""},
		{"--version", 0, "gatewayctl ", ""},
		{"completion bash", 0, "__start_gatewayctl", ""},
		{"completion zsh", 0, "#compdef gatewayctl", ""},
		{"completion fish", 0, "complete -c gatewayctl", ""},
		{"completion powershell", 0, "Register-ArgumentCompleter", ""},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			f := &fake{}
			got := f.gatewayctl(t, tt.line)
			if got.Code != tt.code || !holds(got.Stdout, tt.stdout) || !holds(got.Stderr, tt.stderr) {
				t.Errorf("gatewayctl %s = %+v, want exit %d, stdout with %q, stderr with %q",
					tt.line, got, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}

func holds(text, part string) bool {
	if part == "" {
		return text == ""
	}
	return strings.Contains(text, part)
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	const hint = "; is it running there? (--server or GATEWAYCTL_SERVER changes the address)\n"
	for _, line := range []string{"keys list", "keys add alice", "keys add alice -o json", "breaker status --watch", "config status", "config validate -"} {
		p, stdout, stderr := process(line, closed)
		got := result{Run(t.Context(), p), stdout.String(), stderr.String()}
		want := result{1, "", "gatewayctl: control plane " + closed + ": connection refused" + hint}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("gatewayctl %s (-want +got):\n%s", line, diff)
		}
	}
}

// TestSilentServer covers a server that accepts connections and says nothing, so that gRPC never gets ready.
func TestSilentServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, stdout, stderr := process("config status --timeout 50ms", ln.Addr().String())
	got := result{Run(t.Context(), p), stdout.String(), stderr.String()}
	want := result{1, "", "gatewayctl: control plane " + ln.Addr().String() + ": no answer within 50ms\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config status (-want +got):\n%s", diff)
	}
}

// TestDeadlines checks that no command waits for ever for a control plane that takes requests and does not answer.
func TestDeadlines(t *testing.T) {
	hang := pagesOf[gatewayv1.ListKeysResponse]{hang: true}
	started := pagesOf[gatewayv1.ListKeysResponse]{pages: []*gatewayv1.ListKeysResponse{{}}, hang: true}
	for name, keys := range map[string]pagesOf[gatewayv1.ListKeysResponse]{"no page": hang, "a page": started} {
		f := &fake{keys: keys}
		got := f.gatewayctl(t, "keys list --timeout 50ms")
		if got.Code != 1 || !strings.HasSuffix(got.Stderr, ": no answer within 50ms\n") {
			t.Errorf("%s: keys list = %+v, want exit 1 after the time-out", name, got)
		}
	}
}

func TestOlderServer(t *testing.T) {
	got := (&fake{}).gatewayctl(t, "keys show a")
	if got.Code != 1 || !strings.HasSuffix(got.Stderr, ": does not know this request (an older version?)\n") {
		t.Errorf("keys show = %+v, want exit 1 and a reason", got)
	}
}

func TestInsecureAllowsOtherMachines(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is sent
	p, _, stderr := process("config status --server 192.0.2.1:18000 --insecure", "")
	if code := Run(ctx, p); code != 1 || stderr.String() != "gatewayctl: interrupted\n" {
		t.Errorf("config status --insecure = %d, %q, want 1 and interrupted", code, stderr)
	}
}

func TestLoopback(t *testing.T) {
	tests := map[string]bool{
		"": true, "localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"0.0.0.0": false, "10.0.0.1": false, "localhost.example": false, "::": false, "control.internal": false,
	}
	for host, want := range tests {
		if got := loopback(host); got != want {
			t.Errorf("loopback(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const bad = -1
	tests := []struct {
		in   string
		want time.Duration
	}{
		{"90d", 90 * day},
		{"1w", 7 * day},
		{"1w2d3h", 9*day + 3*time.Hour},
		{"1.5d", 36 * time.Hour},
		{"36h", 36 * time.Hour},
		{"1h30m", 90 * time.Minute},
		{"0s", 0},
		{"100ms", 100 * time.Millisecond},
		{"", bad},
		{"d", bad},
		{"5", bad},
		{"-1d", bad},
		{"-1h", bad},
		{"+1h", bad},
		{"1h-1m", bad},
		{"1 d", bad},
		{"1e3d", bad},
		{"1y", bad},
		{"200000d", bad},
		{"100000d100000d", bad},
		{"1..5d", bad},
		{"NaNd", bad},
	}
	for _, tt := range tests {
		got, err := parseDuration(tt.in)
		if err != nil {
			got = bad
		}
		if got != tt.want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	plane := func(id string, s gatewayv1.DataPlaneState) *gatewayv1.DataPlane {
		return &gatewayv1.DataPlane{Id: id, State: s}
	}
	script := func() *fake {
		return &fake{
			keys: pagesOf[gatewayv1.ListKeysResponse]{pages: []*gatewayv1.ListKeysResponse{
				{Keys: []*gatewayv1.KeyInfo{{Name: "alice"}, {Name: "albert"}, {Name: "bob"}}},
			}},
			breakers: pagesOf[gatewayv1.ListBreakersResponse]{pages: []*gatewayv1.ListBreakersResponse{{
				Breakers: []*gatewayv1.DataPlaneBreaker{breaker("users", "a", closed), breaker("users", "b", closed)},
			}}},
			planes: pagesOf[gatewayv1.ListDataPlanesResponse]{pages: []*gatewayv1.ListDataPlanesResponse{
				{Dataplanes: []*gatewayv1.DataPlane{
					plane("a", gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN),
					plane("b", gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED),
				}},
			}},
		}
	}
	tests := []struct{ line, want string }{
		{"keys show al", "alice albert"},
		{"keys revoke ", "alice albert bob"},
		{"breaker status ", "users"},
		{"breaker reset users --dataplane ", "a b"},
		{"keys add x --services us", "users"},
		{"dataplanes adopt ", "a"},
		{"dataplanes forget ", "b"},
		{"keys list -o ", "table json"},
	}
	for _, tt := range tests {
		p, stdout, stderr := process("", script().start(t))
		p.Args = append([]string{"__complete"}, strings.Split(tt.line, " ")...)
		code := Run(t.Context(), p)
		words, directive, _ := strings.Cut(stdout.String(), ":")
		if code != 0 || strings.Join(strings.Fields(words), " ") != tt.want || !strings.HasPrefix(directive, "4") {
			t.Errorf("completion of %q = %d, %q, %q, want %q without files", tt.line, code, stdout, stderr, tt.want)
		}
	}
}

func TestCompletionWithoutServer(t *testing.T) {
	p, stdout, _ := process("", "nowhere")
	p.Args = []string{"__complete", "keys", "show", ""}
	if code := Run(t.Context(), p); code != 0 || stdout.String() != ":4\n" {
		t.Errorf("completion = %d, %q, want no words", code, stdout)
	}
}

// TestEmptyValues covers what an unset variable of a script becomes. Taken as "not given" it would mean something wider: a secret
// made here, every data plane, every service.
func TestEmptyValues(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"keys", "add", "alice", "--key", ""}, `--key: got "" (want a value) (see gatewayctl keys add --help)`},
		{[]string{"keys", "rotate", "alice", "--expires-in="}, `--expires-in: got "" (want a value) (see gatewayctl keys rotate --help)`},
		{[]string{"breaker", "reset", "users", "--dataplane", ""}, `--dataplane: got "" (want a value) (see gatewayctl breaker reset --help)`},
		{[]string{"breaker", "status", ""}, `got "" (want at most one SERVICE) (see gatewayctl breaker status --help)`},
		{[]string{"keys", "revoke", ""}, `got "" (want NAME or the ID of a secret) (see gatewayctl keys revoke --help)`},
		{[]string{"dataplanes", "adopt", ""}, `got "" (want either IDs or --all) (see gatewayctl dataplanes adopt --help)`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			f := &fake{}
			p, stdout, stderr := process("", f.start(t))
			p.Args = tt.args
			got := result{Run(t.Context(), p), stdout.String(), stderr.String()}
			if diff := cmp.Diff(result{2, "", "gatewayctl: " + tt.want + "\n"}, got); diff != "" {
				t.Errorf("gatewayctl %q (-want +got):\n%s", tt.args, diff)
			}
			if sent := f.requests(); len(sent) > 0 {
				t.Errorf("gatewayctl %q sent %v, want nothing", tt.args, sent)
			}
		})
	}
}
