//go:build !race

package upstream

import "testing"

// Under the race detector sync.Pool drops what it is given at random.
func TestAttemptDoesNotAllocate(t *testing.T) {
	c := NewClient(TransportSettings{})
	defer c.Close()
	attempt := repeat(t, c, steady(t, small))
	attempt()
	if got := testing.AllocsPerRun(1000, attempt); got > 0 {
		t.Errorf("allocations of an attempt = %v, want none", got)
	}
}
