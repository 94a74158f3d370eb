package pattern_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/proto/pattern"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/users", "GET Example.com/a/{id}/{rest...}", "[::1]/{$}", "/a%2Fb/100%25", "/{", "a:80/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := pattern.Parse(s)
		if err != nil {
			return
		}
		again, err := pattern.Parse(p.String())
		if err != nil {
			t.Fatalf("Parse(%q), written as %q: %v", s, p, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("Parse(%q), written as %q (-first +again):\n%s", s, p, diff)
		}
	})
}
