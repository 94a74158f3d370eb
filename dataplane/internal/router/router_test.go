package router_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"apigateway/dataplane/internal/router"
	"apigateway/proto/pattern"
)

// build makes a table whose values are the patterns as written.
func build(tb testing.TB, patterns ...string) *router.Table[string] {
	tb.Helper()
	var routes []router.Route[string]
	for _, s := range patterns {
		p, err := pattern.Parse(s)
		if err != nil {
			tb.Fatal(err)
		}
		routes = append(routes, router.Route[string]{Pattern: p, Value: s})
	}
	table, err := router.Build(routes)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	table := build(t,
		"/users", "/users/{$}", "/users/{id}", "GET /users/{id}/orders", "/users/me", "POST /orders", "GET /orders", "DELETE /orders/{id}",
		"HEAD /heads", "GET /heads", "example.com/users/special", "GET example.com/only", "POST /only", "[::1]/", "/a/{x}/c", "/a/b/d",
		"/files/{path...}", "/caf%C3%A9", "/a@b", "/s%2Ft",
	)
	tests := []struct{ method, host, path, want, allow string }{
		{"GET", "", "/users", "/users/{$}", ""},
		{"GET", "", "/users/", "/users/{$}", ""},
		{"GET", "", "/users/42", "/users/{id}", ""},
		{"GET", "", "/users/42/", "/users/{id}", ""},
		{"GET", "", "/users/42/x", "/users/{id}", ""},
		{"GET", "", "/usersX", "", ""},
		{"GET", "", "/user", "", ""},
		{"GET", "", "/", "", ""},
		{"GET", "", "/users/me", "/users/me", ""},
		{"GET", "", "/users/me/orders", "/users/me", ""},
		{"GET", "", "/users/42/orders/7", "GET /users/{id}/orders", ""},
		{"HEAD", "", "/users/42/orders", "GET /users/{id}/orders", ""},
		{"POST", "", "/users/42/orders", "/users/{id}", ""},
		{"HEAD", "", "/heads", "HEAD /heads", ""},
		{"GET", "", "/heads", "GET /heads", ""},
		{"PUT", "", "/heads", "", "GET, HEAD"},
		{"PUT", "", "/orders", "", "GET, HEAD, POST"},
		{"PUT", "", "/orders/7", "", "DELETE, GET, HEAD, POST"},
		{"get", "", "/orders", "", "GET, HEAD, POST"},
		{"GET", "example.com", "/users/special", "example.com/users/special", ""},
		{"GET", "example.com", "/users/42", "/users/{id}", ""},
		{"GET", "other.example", "/users/special", "/users/{id}", ""},
		{"GET", "", "/users/special", "/users/{id}", ""},
		{"POST", "example.com", "/only", "POST /only", ""},
		{"PUT", "example.com", "/only", "", "GET, HEAD, POST"},
		{"GET", "[::1]", "/users", "[::1]/", ""},
		{"GET", "", "/a/b/c", "/a/{x}/c", ""},
		{"GET", "", "/a/b/d", "/a/b/d", ""},
		{"GET", "", "/a/b/e", "", ""},
		{"GET", "", "/files", "/files/{path...}", ""},
		{"GET", "", "/files/a/b", "/files/{path...}", ""},
		{"GET", "", "/caf%C3%A9/x", "/caf%C3%A9", ""},
		{"GET", "", "/a%40b", "/a@b", ""},
		{"GET", "", "/s%2Ft", "/s%2Ft", ""},
		{"GET", "", "/s/t", "", ""},
		{"GET", "", "/users%2Fme", "", ""},
		{"GET", "", "", "", ""},
		{"GET", "", "*", "", ""},
	}
	for _, tt := range tests {
		m, ok := table.Match(tt.method, tt.host, tt.path)
		got := ""
		if ok {
			got = m.Route.Value
		}
		if got != tt.want || m.Allow != tt.allow || ok != (m.Route != nil) {
			t.Errorf("Match(%s, %q, %q) = %q, Allow %q, want %q, Allow %q", tt.method, tt.host, tt.path, got, m.Allow, tt.want, tt.allow)
		}
	}
}

func TestRootMatchesEverything(t *testing.T) {
	table := build(t, "/", "/{$}")
	for path, want := range map[string]string{"/": "/{$}", "/a": "/", "/a/b/": "/", "/%2F": "/"} {
		if m, ok := table.Match("BREW", "any.example", path); !ok || m.Route.Value != want {
			t.Errorf("Match(%q) = %v, %v, want %q", path, m.Route, ok, want)
		}
	}
}

func TestEmptyTables(t *testing.T) {
	var none *router.Table[int]
	empty, err := router.Build[int](nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []*router.Table[int]{none, {}, empty} {
		if m, ok := table.Match("GET", "a", "/"); ok || m.Route != nil || m.Allow != "" {
			t.Errorf("Match in an empty table = %v, %v", m, ok)
		}
	}
}

func TestBuildRefusesConflicts(t *testing.T) {
	routes := []router.Route[int]{}
	for _, s := range []string{"GET /users/{id}", "/users/{id}", "GET /users/{name}/"} {
		p, err := pattern.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, router.Route[int]{Pattern: p})
	}
	_, err := router.Build(routes)
	want := `router: conflicting patterns, got "GET /users/{name}" (want nothing that equals "GET /users/{id}" but for names)`
	if err == nil || err.Error() != want {
		t.Errorf("Build: %v, want %s", err, want)
	}
	for i := range routes {
		routes[i].Pattern.Method = ""
	}
	if _, err := router.Build(routes[1:]); err == nil {
		t.Error("Build of the same without a method: no error")
	}
}

func TestParams(t *testing.T) {
	table := build(t, "/users", "/users/{id}/orders/{order}", "/files/{dir}/{rest...}")
	tests := []struct {
		path string
		want map[string]string
	}{
		{"/users/x", map[string]string{}},
		{"/users/42/orders/7/lines", map[string]string{"id": "42", "order": "7"}},
		{"/users/a%2Fb%25/orders/caf%C3%A9", map[string]string{"id": "a/b%", "order": "café"}},
		{"/users/%25/orders/%20", map[string]string{"id": "%", "order": " "}},
		{"/files/d/a/b%20c/", map[string]string{"dir": "d", "rest": "a/b c/"}},
		{"/files/d/", map[string]string{"dir": "d", "rest": ""}},
		{"/files/d", map[string]string{"dir": "d", "rest": ""}},
		{"/nothing", map[string]string{}},
	}
	for _, tt := range tests {
		m, _ := table.Match("GET", "", tt.path)
		if diff := cmp.Diff(tt.want, maps.Collect(m.Params())); diff != "" {
			t.Errorf("Params of %q (-want +got):\n%s", tt.path, diff)
		}
		r := &http.Request{}
		m.SetPathValues(r)
		for name, value := range tt.want {
			if got := r.PathValue(name); got != value {
				t.Errorf("PathValue(%q) of %q = %q, want %q", name, tt.path, got, value)
			}
		}
	}
	m, _ := table.Match("GET", "", "/users/1/orders/2")
	for name := range m.Params() {
		if name != "id" {
			t.Errorf("Params goes on to %q after it was stopped", name)
		}
		break
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table := build(t, "/users", "/users/{id}/orders", "GET example.com/a@b")
	for path, want := range map[string]bool{"/users/x": true, "/users/42/orders": true, "/a%40b": true, "/%40" + strings.Repeat("a", 5000): false} {
		allocs := testing.AllocsPerRun(100, func() {
			if _, ok := table.Match("GET", "example.com", path); ok != want {
				t.Fatalf("Match(%q) = %v, want %v", path, ok, want)
			}
		})
		if allocs != 0 {
			t.Errorf("Match(%q) allocates %v times, want 0", path, allocs)
		}
	}
}

const (
	patternExpr = `((GET|HEAD|POST) )?(a\.b|c\.d)?(/([ab@]|%2F|%25|\{[xyz]\})){0,4}(/|/\{\$\}|/\{r\.\.\.\})?`
	pathExpr    = `(/([ab@c]|%40|%2F|%25)){0,5}/?`
)

func TestMatchAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(patternExpr), 1, 30).Draw(t, "patterns")
		path := rapid.StringMatching(pathExpr).Draw(t, "path")
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT"}).Draw(t, "method")
		host := rapid.SampledFrom([]string{"", "a.b", "c.d", "e.f"}).Draw(t, "host")
		if err := compare(patterns, method, host, path); err != nil {
			t.Fatal(err)
		}
	})
}

// compare routes one request by both routers, and with the patterns the other way round.
func compare(patterns []string, method, host, path string) error {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	routes := withoutConflicts(patterns)
	want, wantOK := reference(routes, method, host, path)
	wantAllow := ""
	if !wantOK {
		wantAllow = strings.Join(slices.Sorted(maps.Keys(knownMethods(routes, host, path))), ", ")
	}
	for range 2 {
		table, err := router.Build(routes)
		if err != nil {
			return err
		}
		m, ok := table.Match(method, host, path)
		if ok != wantOK || ok && m.Route.Value != want || m.Allow != wantAllow {
			return fmt.Errorf("%s %s%s among %q: got %+v, %v, want %q, Allow %q", method, host, path, patterns, m.Route, ok, patterns[want], wantAllow)
		}
		if n := len(maps.Collect(m.Params())); ok && n != wildcards(m.Route.Pattern) {
			return fmt.Errorf("%s among %q: %d parameters of %q", path, patterns, n, m.Route.Pattern)
		}
		slices.Reverse(routes)
	}
	return nil
}

func wildcards(p pattern.Pattern) int {
	return strings.Count(p.Key(), "{}") + strings.Count(p.String(), "...}")
}
