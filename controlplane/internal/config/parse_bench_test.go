package config

import (
	"fmt"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		data := services(n)
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, mistakes, _ := Parse("f", data); len(mistakes) > 0 {
					b.Fatal(mistakes)
				}
			}
		})
	}
}
