package configs

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// stamp is own middleware: it tells the client which key it sees, under the header that its settings name.
func stamp(settings json.RawMessage) (func(http.Handler) http.Handler, error) {
	var s struct{ Header string }
	if err := json.Unmarshal(settings, &s); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, ok := proxy.Key(r.Context())
			if !ok {
				name = "nobody"
			}
			w.Header().Set(s.Header, name)
			next.ServeHTTP(w, r)
		})
	}, nil
}

// shield is own middleware without settings.
func shield(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := proxy.Key(r.Context()); !ok || r.Method != http.MethodGet {
			http.Error(w, "behind the shield", http.StatusTeapot)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func withCustom(o *proxy.Options) {
	o.Middleware = []proxy.Middleware{proxy.WithSettings("stamp", stamp), proxy.Plain("shield", shield)}
}

// customConfig has own middleware before and behind auth_apikey.
func customConfig(b *backend) string {
	own := "  stamp: {header: X-Stamp}\n  shield: {}\nservices:\n"
	return strings.Replace(configuration(
		service("users", "auth_apikey", "", b),
		service("behind", "auth_apikey, stamp, shield, metrics", "", b),
		service("before", "stamp, auth_apikey", "", b),
		service("shut", "shield, auth_apikey", "", b),
	), "services:\n", own, 1)
}

func TestOwnMiddlewareSeesTheKey(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.write(customConfig(newBackend(t, "backend-1")))
	f.startControl()
	p := f.startData("a", withCustom)
	f.awaitServing()
	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a")
	tests := []struct {
		path, key, stamp string
		status           int
	}{
		{"/behind", fileKey, "tester", http.StatusOK},
		{"/behind", secret, "alice", http.StatusOK},
		{"/behind", "wrong", "", http.StatusUnauthorized},
		{"/before", secret, "nobody", http.StatusOK},
		{"/before", "", "nobody", http.StatusUnauthorized},
		{"/shut", secret, "", http.StatusTeapot},
	}
	for _, tt := range tests {
		got := f.expect(p, tt.path, tt.key, answer{status: tt.status})
		if s := got.header.Get("X-Stamp"); s != tt.stamp {
			t.Errorf("%s with key %q: X-Stamp = %q, want %q", tt.path, tt.key, s, tt.stamp)
		}
	}
}

// A configuration that one data plane cannot serve is rejected there alone, with the reason, and holds back no key.
func TestRejectedConfigurationHoldsBackNoKeys(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	one, other := newBackend(t, "backend-1"), newBackend(t, "backend-2")
	f.write(configuration(service("users", "auth_apikey", "", one)))
	f.startControl()
	able, unable := f.startData("a", withCustom), f.startData("b")
	f.awaitServing()

	f.write(customConfig(other))
	f.reload <- struct{}{}
	rejected := f.awaitState("b", gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED)
	for _, want := range []string{"stamp", "does not have it", "auth_apikey"} {
		if !strings.Contains(rejected.GetReason(), want) && !strings.Contains(rejected.GetReason(), strings.Replace(want, "stamp", "shield", 1)) {
			t.Errorf("reason = %q, want the middleware that b lacks and those that it has", rejected.GetReason())
		}
	}
	f.awaitState("a", gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	f.expect(able, "/users", fileKey, answer{status: 200, body: other.greeting})
	f.expect(able, "/behind", fileKey, answer{status: 200})
	f.expect(unable, "/users", fileKey, answer{status: 200, body: one.greeting})
	f.expect(unable, "/behind", fileKey, answer{status: 404})

	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a", "b")
	f.expect(able, "/users", secret, answer{status: 200})
	f.expect(unable, "/users", secret, answer{status: 200})
	f.expectProof(f.prove(f.revokeKey("alice"), true, patience), "a", "b")
	f.expect(unable, "/users", secret, answer{status: 401})

	f.apply(configuration(service("users", "auth_apikey", "", other))) // both can serve this again
	f.expect(unable, "/users", fileKey, answer{status: 200, body: other.greeting})
}
