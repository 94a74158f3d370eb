package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// alice is a key as the fake stores it.
func alice(id string) *gatewayv1.KeyInfo {
	return &gatewayv1.KeyInfo{Id: id, Name: "alice", Secrets: []*gatewayv1.SecretInfo{{Id: id, CreatedAtMs: ms(0)}}}
}

// stores is the answer of a control plane that stores every key in revision 42.
func stores(_ context.Context, r *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
	return &gatewayv1.AddKeyResponse{Key: alice(r.GetSecretId()), Revision: 42}, nil
}

func onTwo() *gatewayv1.Rollout {
	return &gatewayv1.Rollout{Applied: []*gatewayv1.AppliedBy{{Dataplane: "a", AfterMs: 3.14}, {Dataplane: "b", AfterMs: 8.2}}}
}

func onOneOfFour() *gatewayv1.Rollout {
	return &gatewayv1.Rollout{
		Applied:      []*gatewayv1.AppliedBy{{Dataplane: "a", AfterMs: 3}},
		Lagging:      []*gatewayv1.LaggingBy{{Dataplane: "b", Revision: 41}},
		Rejected:     []*gatewayv1.RejectedBy{{Dataplane: "c", Reason: "key alice: unusable"}},
		Disconnected: []*gatewayv1.DisconnectedFrom{{Dataplane: "d", LastSeenAtMs: ms(5 * time.Minute)}},
	}
}

func ends(r *gatewayv1.Rollout, proven bool) pagesOf[gatewayv1.WatchRolloutResponse] {
	return pagesOf[gatewayv1.WatchRolloutResponse]{pages: []*gatewayv1.WatchRolloutResponse{
		{Rollout: &gatewayv1.Rollout{}}, {Rollout: r, Done: true, Proven: proven},
	}}
}

var secretForm = regexp.MustCompile(`gk_[0-9a-z]{12}_[0-9A-Za-z]{28}`)

// hidden replaces made secrets, and their ids, which differ from run to run.
func hidden(r result) result {
	secret := secretForm.FindString(r.Stdout + r.Stderr)
	if secret == "" {
		return r
	}
	id, _ := apikey.Parse(secret)
	replace := strings.NewReplacer(secret, "SECRET", id, "ID")
	return result{r.Code, replace.Replace(r.Stdout), replace.Replace(r.Stderr)}
}

const jsonAlice = `{"key":{"id":"ID","name":"alice","source":"store","services":null,"expires_at":null,` +
	`"created_at":"2026-11-23T12:00:00.000Z","last_used_at":null,` +
	`"secrets":[{"id":"ID","created_at":"2026-11-23T12:00:00.000Z","expires_at":null,"last_used_at":null}]},` +
	`"secret":"SECRET","revision":42`

func TestKeysAdd(t *testing.T) {
	tests := []struct {
		name string
		fake *fake
		line string
		want result
	}{
		{
			"without waiting", &fake{add: stores}, "keys add alice",
			result{0, "SECRET      shown once: store it now\nalice stored, revision 42\n", ""},
		},
		{
			"proven", &fake{add: stores, rollout: ends(onTwo(), true)}, "keys add alice --wait",
			result{0, "SECRET      shown once: store it now\nserving on 2/2 data planes after 8.2 ms, revision 42\n", ""},
		},
		{
			"not proven", &fake{add: stores, rollout: ends(onOneOfFour(), false)}, "keys add alice --wait",
			result{3, "SECRET      shown once: store it now\nserving on 1/3 data planes, revision 42\n" +
				"b: no answer yet, serves revision 41\nc: rejected: key alice: unusable\n" +
				"d: not connected, last seen 5m ago\n", "gatewayctl: stored, but not proven on every data plane\n"},
		},
		{
			"no data plane", &fake{add: stores, rollout: ends(nil, false)}, "keys add alice --wait",
			result{
				3, "SECRET      shown once: store it now\nstored, revision 42\n",
				"gatewayctl: stored, but not proven: no data plane is connected\n",
			},
		},
		{
			"control plane leaves during the wait",
			&fake{add: stores, rollout: pagesOf[gatewayv1.WatchRolloutResponse]{err: status.Error(codes.Unavailable, "shutting down")}},
			"keys add alice --wait",
			result{
				3, "SECRET      shown once: store it now\nstored, revision 42\n",
				"gatewayctl: stored, but not proven: shutting down\n",
			},
		},
		{
			"JSON", &fake{add: stores}, "keys add alice -o json",
			result{0, jsonAlice + "}\n", ""},
		},
		{
			"JSON not proven", &fake{add: stores, rollout: ends(onOneOfFour(), false)}, "keys add alice --wait -o json",
			result{
				3, jsonAlice + `,"rollout":{"applied":[{"dataplane":"a","after_ms":3}],"lagging":[{"dataplane":"b","revision":41}],` +
					`"rejected":[{"dataplane":"c","reason":"key alice: unusable"}],` +
					`"disconnected":[{"dataplane":"d","last_seen_at":"2026-11-23T11:55:00.000Z"}]}}` + "\n",
				"gatewayctl: stored, but not proven on every data plane\n",
			},
		},
		{
			"refused", &fake{add: func(context.Context, *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
				return nil, status.Error(codes.AlreadyExists, `key "alice" exists with another secret`)
			}}, "keys add alice -o json",
			result{1, "", "gatewayctl: key \"alice\" exists with another secret\n"},
		},
		{
			"caller's own secret", &fake{add: stores}, "keys add alice --key 12345678901234567890",
			result{0, "alice stored, revision 42\n", ""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, hidden(tt.fake.gatewayctl(t, tt.line))); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// TestKeysAddSendsNoSecret checks the request: name, hash, id, expiry and services, and nothing that holds the secret.
func TestKeysAddSendsNoSecret(t *testing.T) {
	f := &fake{add: stores, rollout: ends(onTwo(), true)}
	got := f.gatewayctl(t, "keys add alice --expires-in 1w2d --services users,orders --wait --timeout 5s --log-level debug")
	secret := secretForm.FindString(got.Stdout)
	id, err := apikey.Parse(secret)
	if err != nil {
		t.Fatalf("stdout = %q, want a secret (%v)", got.Stdout, err)
	}
	hash := apikey.Hash(secret)
	want := []any{
		&gatewayv1.AddKeyRequest{
			Name: "alice", Sha256: hash[:], SecretId: id,
			ExpiresAtMs: now.AddDate(0, 0, 9).UnixMilli(), Services: []string{"users", "orders"},
		},
		&gatewayv1.WatchRolloutRequest{Part: gatewayv1.Part_PART_KEYS, Revision: 42, TimeoutMs: 5000, Entry: "alice"},
	}
	requests := []any{}
	for _, m := range f.requests() {
		requests = append(requests, m)
	}
	if diff := cmp.Diff(want, requests, protocmp.Transform()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if strings.Contains(got.Stderr, secret) || !strings.Contains(got.Stderr, "/gateway.v1.KeyService/AddKey") {
		t.Errorf("log = %q, want the request's name and no secret", got.Stderr)
	}
}

func TestKeysAddKeyFromStdin(t *testing.T) {
	f := &fake{add: stores}
	p, stdout, stderr := process("keys add alice --key -", f.start(t))
	p.Stdin = strings.NewReader("abc-123\r\nsecond line")
	code := Run(t.Context(), p)
	want := result{0, "alice stored, revision 42\n", "gatewayctl: warning: --key: 7 characters can be guessed (want 20 or more)\n"}
	if diff := cmp.Diff(want, result{code, stdout.String(), stderr.String()}); diff != "" {
		t.Errorf("keys add --key - (-want +got):\n%s", diff)
	}
	r := f.requests()[0].(*gatewayv1.AddKeyRequest)
	hash := apikey.Hash("abc-123")
	if got := hex.EncodeToString(r.GetSha256()); got != hex.EncodeToString(hash[:]) || r.GetSecretId() != apikey.HashID(hash) {
		t.Errorf("AddKey(%v), want the hash of abc-123 and its first digits", r)
	}
}

func TestKeysUsage(t *testing.T) {
	tests := []struct{ line, want string }{
		{"keys add", "missing argument (want NAME)"},
		{"keys add a b", "got 2 arguments (want NAME)"},
		{"keys add ä", `name: wrong character, got "ä" (want A-Z a-z 0-9 . _ -)`},
		{"keys add a --expires-in soon", `--expires-in: got "soon" (want a duration such as 90d, 12h or 1w, or never)`},
		{"keys add a --expires-in --1h", `--expires-in: got "--1h" (want a duration such as 90d, 12h or 1w, or never)`},
		{"keys add a --expires-in 99999999d", `--expires-in: too large, got "99999999d" (want at most 36500d)`},
		{"keys add a --expires-in 99999999999999h", `--expires-in: too large, got "99999999999999h" (want at most 36500d)`},
		{"keys add a --expires-in 36500d1s", `--expires-in: too large, got "36500d1s" (want at most 36500d)`},
		{"keys rotate a --overlap 40000d", `--overlap: too large, got "40000d" (want at most 36500d)`},
		{"keys add a --services ,", "--services: name: wrong length, got 0 bytes (want 1 to 64)"},
		{"keys add a --services=", "--services: got none (leave it out to admit all)"},
		{"keys add a --key -", "--key: secret: wrong length, got 0 bytes (want 1 to 256)"},
		{"keys add a --key é", "--key: secret: wrong character, got 2 bytes (want printable ASCII)"},
		{"keys add a --key gk_000000000000_00000000000000000000003AlBeM", "--key: key: wrong checksum (mistyped?)"},
		{"keys add a --key " + strings.Repeat("x", 257), "--key: secret: wrong length, got 257 bytes (want 1 to 256)"},
		{"keys rotate a --overlap soon", `--overlap: got "soon" (want a duration such as 90d, 12h or 1w)`},
	}
	for _, tt := range tests {
		t.Run(tt.line[:min(len(tt.line), 40)], func(t *testing.T) {
			f := &fake{}
			command := strings.Join(strings.Fields(tt.line)[:2], " ")
			want := result{2, "", fmt.Sprintf("gatewayctl: %s (see gatewayctl %s --help)\n", tt.want, command)}
			if diff := cmp.Diff(want, f.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
			if n := len(f.requests()); n > 0 {
				t.Errorf("gatewayctl %s sent %d requests, want 0", tt.line, n)
			}
		})
	}
}

// TestKeysPastExpiry covers expiries that are well written and yet cannot be.
func TestKeysPastExpiry(t *testing.T) {
	for _, command := range []string{"keys add a", "keys rotate a"} {
		for _, expiry := range []string{"0s", "-1h", "-7d"} {
			f := &fake{}
			want := result{1, "", fmt.Sprintf("gatewayctl: --expires-in: lies in the past, got %q (want more than 0)\n", expiry)}
			if diff := cmp.Diff(want, f.gatewayctl(t, command+" --expires-in "+expiry)); diff != "" {
				t.Errorf("gatewayctl %s --expires-in %s (-want +got):\n%s", command, expiry, diff)
			}
			if n := len(f.requests()); n > 0 {
				t.Errorf("gatewayctl %s --expires-in %s sent %d requests, want 0", command, expiry, n)
			}
		}
	}
}

func TestKeysRevoke(t *testing.T) {
	revoked := func(*gatewayv1.RevokeKeyRequest) (*gatewayv1.RevokeKeyResponse, error) {
		return &gatewayv1.RevokeKeyResponse{Revision: 43, Name: "alice", SecretIds: []string{"one", "two"}}, nil
	}
	tests := []struct {
		name, line string
		fake       *fake
		want       result
	}{
		{
			"without waiting", "keys revoke alice", &fake{revoke: revoked},
			result{0, "alice: revoked one, two, revision 43\n", ""},
		},
		{
			"proven", "keys revoke one --wait", &fake{revoke: revoked, rollout: ends(onTwo(), true)},
			result{0, "alice: revoked one, two, revision 43\nrevoked on 2/2 data planes after 8.2 ms, revision 43\n", ""},
		},
		{
			"one gone", "keys revoke alice --wait", &fake{revoke: revoked, rollout: ends(onOneOfFour(), false)},
			result{
				3, "alice: revoked one, two, revision 43\nrevoked on 1/4 data planes, revision 43\n" +
					"b: no answer yet, serves revision 41, may still accept the key\nc: rejected: key alice: unusable\n" +
					"d: not connected, last seen 5m ago, may still accept the key\n",
				"gatewayctl: stored, but not proven on every data plane\n",
			},
		},
		{"JSON", "keys revoke alice -o json --wait", &fake{revoke: revoked, rollout: ends(&gatewayv1.Rollout{
			Applied: []*gatewayv1.AppliedBy{{Dataplane: "a", AfterMs: 1.5, NotDurable: true}},
		}, true)}, result{0, `{"revision":43,"rollout":{"applied":[{"dataplane":"a","after_ms":1.5,"durable":false}],` +
			`"lagging":[],"rejected":[],"disconnected":[]}}` + "\n", ""}},
		{"unknown", "keys revoke bob", &fake{revoke: func(*gatewayv1.RevokeKeyRequest) (*gatewayv1.RevokeKeyResponse, error) {
			return nil, status.Error(codes.NotFound, `key "bob" not found`)
		}}, result{1, "", "gatewayctl: key \"bob\" not found\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.fake.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
			for _, m := range tt.fake.requests() {
				if r, ok := m.(*gatewayv1.WatchRolloutRequest); ok && (!r.GetRevocation() || r.GetEntry() != "alice") {
					t.Errorf("WatchRollout(%v), want a revocation of alice", r)
				}
			}
		})
	}
}

func TestKeysRotate(t *testing.T) {
	f := &fake{
		rotate: func(r *gatewayv1.RotateKeyRequest) (*gatewayv1.RotateKeyResponse, error) {
			return &gatewayv1.RotateKeyResponse{Key: alice(r.GetSecretId()), Revision: 42}, nil
		},
		rollout: ends(onTwo(), true),
	}
	want := result{0, "SECRET      shown once: store it now\nserving on 2/2 data planes after 8.2 ms, revision 42\n", ""}
	if diff := cmp.Diff(want, hidden(f.gatewayctl(t, "keys rotate alice --overlap 2d --wait"))); diff != "" {
		t.Errorf("keys rotate (-want +got):\n%s", diff)
	}
	if got := f.requests()[0].(*gatewayv1.RotateKeyRequest).GetOverlapMs(); got != (48 * time.Hour).Milliseconds() {
		t.Errorf("RotateKey: overlap = %d ms, want two days", got)
	}
}

func TestKeysRotateExpiry(t *testing.T) {
	tests := []struct {
		flag string
		want *int64
	}{
		{"", nil}, // the control plane's to decide
		{" --expires-in 90d", new(ms(-90 * 24 * time.Hour))},
		{" --expires-in never", new(int64)},
	}
	for _, tt := range tests {
		f := &fake{rotate: func(r *gatewayv1.RotateKeyRequest) (*gatewayv1.RotateKeyResponse, error) {
			return &gatewayv1.RotateKeyResponse{Key: alice(r.GetSecretId()), Revision: 42}, nil
		}}
		if got := f.gatewayctl(t, "keys rotate alice"+tt.flag); got.Code != 0 {
			t.Fatalf("keys rotate alice%s = %+v, want exit 0", tt.flag, got)
		}
		if diff := cmp.Diff(tt.want, f.requests()[0].(*gatewayv1.RotateKeyRequest).ExpiresAtMs); diff != "" {
			t.Errorf("keys rotate alice%s: expires_at_ms (-want +got):\n%s", tt.flag, diff)
		}
	}
}

func TestKeysListAndShow(t *testing.T) {
	bob := &gatewayv1.KeyInfo{Id: "b1", Name: "bob", FromFile: true, Only: true, Secrets: []*gatewayv1.SecretInfo{{Id: "b1"}}}
	f := func() *fake {
		return &fake{
			keys: pagesOf[gatewayv1.ListKeysResponse]{pages: []*gatewayv1.ListKeysResponse{
				{Keys: []*gatewayv1.KeyInfo{alice("a1")}}, {Keys: []*gatewayv1.KeyInfo{bob}},
			}},
			get: func(*gatewayv1.GetKeyRequest) (*gatewayv1.GetKeyResponse, error) {
				return &gatewayv1.GetKeyResponse{Key: bob}, nil
			},
		}
	}
	const jsonBob = `{"id":"b1","name":"bob","source":"file","services":[],"expires_at":null,"created_at":null,"last_used_at":null,` +
		`"secrets":[{"id":"b1","created_at":null,"expires_at":null,"last_used_at":null}]}`
	tests := []struct{ line, want string }{
		{"keys list", "NAME   ID  SOURCE  SERVICES  CREATED  EXPIRES  LAST USED\n" +
			"alice  a1  store   all       0s ago   never    –\nbob    b1  file    none      –        never    –\n"},
		{"keys list -o json", `[{"id":"a1","name":"alice","source":"store","services":null,"expires_at":null,` +
			`"created_at":"2026-11-23T12:00:00.000Z","last_used_at":null,` +
			`"secrets":[{"id":"a1","created_at":"2026-11-23T12:00:00.000Z","expires_at":null,"last_used_at":null}]}` +
			",\n " + jsonBob + "]\n"},
		{"keys show bob", "name      bob\nsource    file\nservices  none\n\n" +
			"SECRET  CREATED  EXPIRES  LAST USED\nb1      –        never    –\n"},
		{"keys show bob -o json", jsonBob + "\n"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(result{0, tt.want, ""}, f().gatewayctl(t, tt.line)); diff != "" {
			t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
		}
	}
}

// TestKeysListBreaksOff checks that half a list does not read like a whole one.
func TestKeysListBreaksOff(t *testing.T) {
	f := &fake{keys: pagesOf[gatewayv1.ListKeysResponse]{
		pages: []*gatewayv1.ListKeysResponse{{Keys: []*gatewayv1.KeyInfo{alice("a1")}}},
		err:   status.Error(codes.ResourceExhausted, "too slow"),
	}}
	got := f.gatewayctl(t, "keys list -o json")
	if got.Code != 1 || json.Valid([]byte(got.Stdout)) || got.Stderr != "gatewayctl: too slow\n" {
		t.Errorf("keys list = %+v, want exit 1 and no whole array", got)
	}
}
