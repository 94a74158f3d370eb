package store_test

import (
	"strings"
	"testing"

	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/storetest"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestOpen(t *testing.T) {
	var got string
	schemes := map[string]store.Opener{"bolt": func(rest string) (store.Store, error) {
		got = rest
		return nil, nil
	}}
	for _, test := range []struct{ url, rest, err string }{
		{"bolt:data/x.db", "data/x.db", ""},
		{"bolt:/var/lib/x.db", "/var/lib/x.db", ""},
		{"bolt:///var/lib/x.db", "/var/lib/x.db", ""},
		{"bolt:C:/x.db", "C:/x.db", ""},
		{"etcd://a:2379", "", `store: unknown URL, got "etcd://a:2379" (want bolt:…)`},
		{"data/x.db", "", `store: unknown URL, got "data/x.db" (want bolt:…)`},
		{"bolt:", "", `store: unknown URL, got "bolt:" (want bolt:…)`},
		{"", "", `store: unknown URL, got "" (want bolt:…)`},
	} {
		got = ""
		_, err := store.Open(test.url, schemes)
		if got != test.rest || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("Open(%q) opened %q, error %v, want %q, error %q", test.url, got, err, test.rest, test.err)
		}
	}
}

func TestTermsOfAnUnusableKey(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"no message", "\xff", `key "k": `},
		{"short hash", "\x22\x03\x0a\x01x", `key "k": secrets[0].sha256: wrong length, got 1 bytes (want 32)`},
	} {
		_, err := store.Terms(storetest.KeyNamed("k"), []byte(test.value))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("Terms(%s) = %v, want %s…", test.name, err, test.want)
		}
	}
}

func TestSecretID(t *testing.T) {
	hash := storetest.Hash("abc-123")
	for _, test := range []struct{ id, want string }{{"", "5942d94f5248"}, {"own", "own"}} {
		s := &gatewayv1.Secret{Id: test.id, Sha256: hash[:]}
		if got := store.SecretID(s); got != test.want {
			t.Errorf("SecretID(%q) = %q, want %q", test.id, got, test.want)
		}
	}
}
