package cache

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// fixture writes a checkpoint and three records, and returns the file and what it held at each border of a frame.
func fixture(tb testing.TB) (dir string, data []byte, at map[int]*Content) {
	tb.Helper()
	d, m := open(tb, tb.TempDir()), newModel()
	m.change(nil, "alice", "bob")
	must(tb, d.Replace(keysPart, m.state, slices.Values(m.list())))
	path := filepath.Join(d.Path(), "keys.cache")
	at = map[int]*Content{}
	note := func() {
		var err error
		data, err = os.ReadFile(path)
		must(tb, err)
		at[len(data)] = m.content()
	}
	note()
	for _, step := range [][2][]string{{nil, {"carol"}}, {{"alice"}, nil}, {{"bob"}, {"dave"}}} {
		must(tb, d.Append(keysPart, []*gatewayv1.Record{m.change(step[0], step[1]...)}))
		note()
	}
	must(tb, d.Close())
	return d.Path(), data, at
}

func loadBytes(tb testing.TB, dir string, data []byte) (*Content, error) {
	tb.Helper()
	must(tb, os.WriteFile(filepath.Join(dir, "keys.cache"), data, 0o600))
	d, err := Open(dir)
	must(tb, err)
	c, err := d.Load(keysPart)
	must(tb, d.Close())
	return c, err
}

// A flipped bit anywhere drops the part: none may bring a revoked key back.
func TestFlippedBits(t *testing.T) {
	dir, data, _ := fixture(t)
	for i := range data {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := slices.Clone(data)
			bad[i] ^= mask
			if c, err := loadBytes(t, dir, bad); err == nil || c != nil {
				t.Fatalf("byte %d ^ %#x: Load = %v, %v, want an error", i, mask, c, err)
			}
		}
	}
}

// A file cut anywhere is what it was at the last whole record, or nothing within the checkpoint.
func TestTruncation(t *testing.T) {
	dir, data, at := fixture(t)
	first := len(data)
	for border := range at {
		first = min(first, border)
	}
	for n := range data {
		c, err := loadBytes(t, dir, data[:n])
		if n < first {
			if err == nil {
				t.Fatalf("cut at %d: Load = %v, want an error", n, c)
			}
			continue
		}
		border := n
		for at[border] == nil {
			border--
		}
		if diff := cmp.Diff(at[border], c, cmp.AllowUnexported(gatewayv1.Digest{})); diff != "" || err != nil {
			t.Fatalf("cut at %d: err %v (-want +got):\n%s", n, err, diff)
		}
		info, err := os.Stat(filepath.Join(dir, "keys.cache"))
		must(t, err)
		if got := int(info.Size()); got != border {
			t.Fatalf("cut at %d: file has %d bytes after Load, want %d", n, got, border)
		}
	}
}

func TestOtherDamage(t *testing.T) {
	dir, data, at := fixture(t)
	borders := slices.Sorted(maps.Keys(at))
	one, two, three := borders[0], borders[1], borders[2]
	cut := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	tests := []struct {
		name string
		data []byte
		want string // in the error; "": the whole content
	}{
		{"zero tail", cut(data, make([]byte, 5000)), ""},
		{"record lost", cut(data[:two], data[three:]), "wrong check"},
		{"record twice", cut(data, data[three:]), "wrong check"},
		{"records swapped", cut(data[:one], data[two:three], data[one:two], data[three:]), "wrong check"},
		{"garbage behind", cut(data, []byte("garbage, longer than a head")), "wrong check"},
		{"another version", cut([]byte("gwcache\x02"), data[8:]), "header"},
		{"empty", nil, "no header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadBytes(t, dir, tt.data)
			if tt.want == "" {
				if diff := cmp.Diff(at[len(data)], c, cmp.AllowUnexported(gatewayv1.Digest{})); diff != "" || err != nil {
					t.Fatalf("Load: err %v (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Load = %v, %v, want an error with %q", c, err, tt.want)
			}
		})
	}
}

// The sums fit, what they protect does not.
func TestConsistentNonsense(t *testing.T) {
	dir := t.TempDir()
	d, m := open(t, dir), newModel()
	m.change(nil, "a")
	must(t, d.Replace(keysPart, m.state, slices.Values(m.list())))
	rec := m.change(nil, "b")
	rec.DigestAfter[3] ^= 1
	must(t, d.Append(keysPart, []*gatewayv1.Record{rec}))
	if _, c, err := reload(t, d); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Fatalf("Load = %v, %v, want a digest error", c, err)
	}
}
