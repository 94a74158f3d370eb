//go:build !race

package proxy

import "testing"

// A request through the full chain allocates the one copy of its head that its strings share, its id, and what owes the breaker a result.
// Under the race detector sync.Pool drops what it is given at random.
func TestProxiedRequestAllocates(t *testing.T) {
	ask := proxied(t)
	ask()
	if got := testing.AllocsPerRun(1000, ask); got > 3 {
		t.Errorf("allocations of a proxied request = %v, want at most 3", got)
	}
}
