//go:build !race

package upstream

import "testing"

// TestAttemptAllocates: the strings of the response's head, and the slices around its values. Under the race detector
// sync.Pool drops what it is given at random.
func TestAttemptAllocates(t *testing.T) {
	c := NewClient(TransportSettings{})
	defer c.Close()
	attempt := repeat(t, c, steady(t, small))
	attempt()
	if got := testing.AllocsPerRun(1000, attempt); got > 2 {
		t.Errorf("allocations of an attempt = %v, want at most 2", got)
	}
}
