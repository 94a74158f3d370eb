package cache

import (
	"testing"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Whatever a file holds, what is loaded has the digest that it says, and nothing panics.
func FuzzLoadCache(f *testing.F) {
	_, data, at := fixture(f)
	f.Add(data)
	for border := range at {
		f.Add(data[:border])
	}
	f.Add([]byte(magic))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := loadBytes(t, dir, data)
		if err != nil || c == nil {
			return
		}
		var digest gatewayv1.Digest
		for ref, value := range c.Entries {
			digest = digest.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
		}
		if digest != c.State.Digest || uint64(len(c.Entries)) != c.State.Count {
			t.Errorf("loaded %d entries with digest %v, want %d with %v", len(c.Entries), digest, c.State.Count, c.State.Digest)
		}
	})
}
