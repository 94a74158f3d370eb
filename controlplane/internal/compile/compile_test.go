package compile

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/config"
	gatewayv1 "apigateway/proto/gateway/v1"
)

var update = flag.Bool("update", false, "rewrite golden files")

// message returns an empty message of the type that an entry holds.
func message(t *testing.T, kind gatewayv1.Kind) proto.Message {
	t.Helper()
	switch kind {
	case gatewayv1.Kind_KIND_SETTINGS:
		return &gatewayv1.Settings{}
	case gatewayv1.Kind_KIND_SERVICE:
		return &gatewayv1.Service{}
	case gatewayv1.Kind_KIND_KEY:
		return &gatewayv1.Key{}
	}
	t.Fatalf("unexpected kind %v", kind)
	return nil
}

// render writes entries for people, with the digest of the bytes that no reader of JSON would see change.
func render(t *testing.T, entries []*gatewayv1.Entry) string {
	t.Helper()
	var out bytes.Buffer
	for _, e := range entries {
		m := message(t, e.GetKind())
		if err := proto.Unmarshal(e.GetValue(), m); err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v %q %.16v\n", e.GetKind(), e.GetId(), gatewayv1.EntryDigest(e.GetKind(), e.GetId(), e.GetValue()))
		if err := json.Indent(&out, text, "", "  "); err != nil { // protojson changes its white space on purpose
			t.Fatal(err)
		}
		out.WriteString("\n\n")
	}
	return out.String()
}

func load(t *testing.T, path string) *config.Config {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, mistakes, _ := config.Parse(path, data)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	return c
}

func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			entries, err := Compile(load(t, path))
			if err != nil {
				t.Fatal(err)
			}
			got := render(t, entries.Config) + render(t, entries.Keys)
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs, run go test -update (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// TestEverythingIsSent checks that everything.yaml, which has no setting at its default, leaves no field unset.
func TestEverythingIsSent(t *testing.T) {
	entries, err := Compile(load(t, "testdata/everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	unset := map[gatewayv1.Kind][]string{
		gatewayv1.Kind_KIND_SERVICE: {"max_body"}, // 0 there: no bound
		gatewayv1.Kind_KIND_KEY:     {"only", "services"},
	}
	for _, e := range slices.Concat(entries.Config[:2], entries.Keys[:1]) {
		m := message(t, e.GetKind())
		if err := proto.Unmarshal(e.GetValue(), m); err != nil {
			t.Fatal(err)
		}
		var got []string
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if f := fields.Get(i); !m.ProtoReflect().Has(f) {
				got = append(got, string(f.Name()))
			}
		}
		if diff := cmp.Diff(unset[e.GetKind()], got); diff != "" {
			t.Errorf("%v %q: unset fields (-want +got):\n%s", e.GetKind(), e.GetId(), diff)
		}
	}
}

func TestRepeatable(t *testing.T) {
	first, err := Compile(load(t, "testdata/everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Compile(load(t, "testdata/everything.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b *gatewayv1.Entry) bool { return proto.Equal(a, b) }
		if !slices.EqualFunc(first.Config, again.Config, same) || !slices.EqualFunc(first.Keys, again.Keys, same) {
			t.Fatal("the same file gave other entries")
		}
	}
}
