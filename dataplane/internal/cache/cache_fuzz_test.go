package cache

import (
	"bytes"
	"encoding/binary"
	"testing"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Whatever a file holds, what is loaded has the digest that it says, and nothing panics. With framed, data is a list of
// payloads in frames whose sums fit.
func FuzzLoadCache(f *testing.F) {
	_, data, at := fixture(f)
	for border := range at {
		f.Add(data[:border], false)
	}
	f.Add([]byte(magic), false)
	f.Add(payloadsOf(f, data), true)
	f.Fuzz(func(t *testing.T, data []byte, framed bool) {
		if framed {
			data = frame(data)
		}
		l := loader{part: keysPart, frames: frameReader{r: bytes.NewReader(data)}}
		if l.read() != nil {
			return
		}
		var digest gatewayv1.Digest
		for ref, value := range l.entries {
			digest = digest.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
		}
		if digest != l.state.Digest || uint64(len(l.entries)) != l.state.Count {
			t.Errorf("loaded %d entries with digest %v, want %d with %v", len(l.entries), digest, l.state.Count, l.state.Digest)
		}
	})
}

// payloadsOf returns the payloads of a file, each behind its length in two bytes.
func payloadsOf(tb testing.TB, data []byte) (out []byte) {
	tb.Helper()
	r := frameReader{r: bytes.NewReader(data[len(magic):]), chain: newChain()}
	for {
		payload, err := r.next()
		if err != nil {
			return out
		}
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(payload))), payload...)
	}
}

// frame makes a file of what payloadsOf returns.
func frame(list []byte) []byte {
	out, c := []byte(magic), newChain()
	for len(list) > 2 {
		n := min(int(binary.BigEndian.Uint16(list)), len(list)-2)
		if n > 0 {
			out, c = c.appendFrame(out, list[2:2+n])
		}
		list = list[2+n:]
	}
	return out
}

func TestFramedPayloads(t *testing.T) {
	_, data, _ := fixture(t)
	if got := frame(payloadsOf(t, data)); !bytes.Equal(got, data) {
		t.Errorf("frame(payloadsOf(file)) has %d bytes, want the file of %d", len(got), len(data))
	}
}
