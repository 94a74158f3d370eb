package exchange

import (
	"context"
	"testing"
)

func BenchmarkFrom(b *testing.B) {
	x := New(b.Context())
	derived, cancel := context.WithCancel(x)
	defer cancel()
	for _, bb := range []struct {
		name string
		ctx  context.Context
	}{{"ctx=exchange", x}, {"ctx=derived", derived}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if From(bb.ctx) != x {
					b.Fatal("From found another exchange")
				}
			}
		})
	}
}
