package router_test

import (
	"strings"
	"testing"

	"apigateway/dataplane/internal/wire"
)

func FuzzRoute(f *testing.F) {
	f.Add("/users\n/users/{id}\nGET a.b/users/{$}", "GET", "a.b", "/users/42")
	f.Add("/\n/{x...}\n/a%2Fb", "HEAD", "", "/a%2fb/../c")
	f.Fuzz(func(t *testing.T, patterns, method, host, path string) {
		path, v := wire.CanonicalPath(path)
		if v != nil {
			return
		}
		if err := compare(strings.Split(patterns, "\n"), method, host, path); err != nil {
			t.Fatal(err)
		}
	})
}
