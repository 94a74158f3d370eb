package limiter

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestBudgetIsKept(t *testing.T) {
	b := NewBudget(1000)
	busy, other := NewTable(mustRate(t, 0.001, 2), b), NewTable(mustRate(t, 0.001, 2), b)
	for i := range 3000 {
		busy.Take(mixed(i), second)
	}
	if b.Len() != 1000 || b.Evicted() != 2000 {
		t.Errorf("%d buckets, %d evicted, want 1000 and 2000", b.Len(), b.Evicted())
	}
	other.Take(1, second) // has no bucket of its own to give
	if b.Len() != 1000 || b.Evicted() != 2001 {
		t.Errorf("with another table: %d buckets, %d evicted, want 1000 and 2001", b.Len(), b.Evicted())
	}
	if got := stored(busy); got != 999 {
		t.Errorf("%d buckets in the first table, want 999", got)
	}
	busy.Close()
	busy.Close()
	if b.Len() != 1 {
		t.Errorf("%d buckets after Close, want 1", b.Len())
	}
	busy.Take(1, second)
	if b.Len() != 1 || stored(busy) != 0 {
		t.Errorf("%d buckets after a late request, want 1", b.Len())
	}
}

func stored(t *Table) int {
	n := 0
	for i := range t.shards {
		n += len(t.shards[i].buckets)
	}
	return n
}

// A full bucket goes before one that is not: of a shard's few buckets all are looked at.
func TestFullBucketsGoFirst(t *testing.T) {
	const full, spent = Client(shardCount), Client(2 * shardCount) // one shard
	for range 100 {
		b := NewBudget(2)
		table := NewTable(mustRate(t, 1, 1), b)
		table.Take(full, 0)
		table.Take(spent, 2*second)
		table.Take(3*shardCount, 2*second)
		if d := table.Take(spent, 2*second); d.OK {
			t.Fatal("the spent bucket was dropped, want the full one")
		}
		if b.Evicted() != 1 {
			t.Fatalf("Evicted = %d, want 1", b.Evicted())
		}
	}
}

func TestConcurrentTakes(t *testing.T) {
	b := NewBudget(200)
	shared, flooded := NewTable(mustRate(t, 0.001, 500), NewBudget(0)), NewTable(mustRate(t, 1, 1), b)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				if shared.Take(Client(i%2), second).OK {
					admitted.Add(1)
				}
				flooded.Take(mixed(g*1000+i), second)
				if i%100 == 0 {
					flooded.Update(mustRate(t, float64(1+g), 1), second)
				}
			}
		})
	}
	wg.Wait()
	if got := admitted.Load(); got != 2*500 {
		t.Errorf("%d admitted of two clients, want exactly their bursts of 500", got)
	}
	if b.Len() != stored(flooded) || b.Len() > 200 {
		t.Errorf("the budget counts %d buckets, want %d and at most 200", b.Len(), stored(flooded))
	}
	flooded.Close()
	if b.Len() != 0 {
		t.Errorf("%d buckets after Close, want 0", b.Len())
	}
}

func TestResize(t *testing.T) {
	b := NewBudget(100)
	table := NewTable(mustRate(t, 1, 1), b)
	for c := range Client(100) {
		table.Take(c, 0)
	}
	b.Resize(10)
	for c := range Client(90) { // each new bucket costs two old ones
		table.Take(1000+c, 0)
	}
	if got := b.Len(); got != 10 {
		t.Errorf("Len() = %d after shrinking, want 10", got)
	}
	b.Resize(50)
	for c := range Client(100) {
		table.Take(2000+c, 0)
	}
	if got := b.Len(); got != 50 {
		t.Errorf("Len() = %d after growing, want 50", got)
	}
}
