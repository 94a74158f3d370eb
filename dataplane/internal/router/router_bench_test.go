package router_test

import (
	"fmt"
	"testing"
)

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 100, 10_000, 100_000} {
		patterns := make([]string, n)
		for i := range patterns {
			switch i % 4 {
			case 0:
				patterns[i] = fmt.Sprintf("/services/s%d", i)
			case 1:
				patterns[i] = fmt.Sprintf("/services/s%d/{id}/items", i)
			case 2:
				patterns[i] = fmt.Sprintf("GET /api/v%d/things", i)
			case 3:
				patterns[i] = fmt.Sprintf("h%d.example.com/a/{b}", i)
			}
		}
		table := build(b, patterns...)
		for kind, path := range map[string]string{
			"literal": "/services/s0/some/more", "wildcard": fmt.Sprintf("/services/s%d/42/items", (n-1)/4*4|1), "escaped": "/services/s0/a%40b", "none": "/nothing/here",
		} {
			b.Run(fmt.Sprintf("patterns=%d/path=%s", n, kind), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Match("GET", "example.com", path)
				}
			})
		}
	}
}

func BenchmarkParams(b *testing.B) {
	table := build(b, "/users/{id}/orders/{order}")
	b.ReportAllocs()
	for b.Loop() {
		m, _ := table.Match("GET", "", "/users/42/orders/7")
		for name, value := range m.Params() {
			if name == value {
				b.Fatal(name)
			}
		}
	}
}
