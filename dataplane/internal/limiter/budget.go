package limiter

import (
	"slices"
	"sync"
	"sync/atomic"
)

// defaultBudget is the number of buckets of a data plane: about 40 MB.
const defaultBudget = 1_000_000

// visits is how many shards of the asking table, and then of any, are searched for a full bucket.
const visits = 2

// Budget bounds the buckets of all tables that share it. Make it with NewBudget.
type Budget struct {
	max     atomic.Int64
	count   atomic.Int64 // buckets, and those about to be made
	evicted atomic.Uint64

	mu     sync.Mutex // taken before any shard's
	tables []*Table
	cursor int // shard to visit next, counted over all tables
}

// NewBudget returns a budget of limit buckets; 0 or less: 1,000,000.
func NewBudget(limit int) *Budget {
	b := new(Budget)
	b.Resize(limit)
	return b
}

// Resize sets another bound; 0 or less: 1,000,000. Buckets above a lower one go as new ones come, two for one.
func (b *Budget) Resize(limit int) {
	if limit <= 0 {
		limit = defaultBudget
	}
	b.max.Store(int64(limit))
}

// Evicted returns how many buckets have been dropped to keep the bound.
func (b *Budget) Evicted() uint64 { return b.evicted.Load() }

// Len returns the number of buckets, which for moments counts some that are just being made.
func (b *Budget) Len() int { return int(b.count.Load()) }

func (b *Budget) join(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tables = append(b.tables, t)
}

func (b *Budget) leave(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.tables, t); i >= 0 {
		b.tables = slices.Delete(b.tables, i, i+1)
	}
}

// release gives n buckets back.
func (b *Budget) release(n int) { b.count.Add(-int64(n)) }

// reserve makes room for one bucket of t.
func (b *Budget) reserve(t *Table, now int64) {
	if b.count.Add(1) <= b.max.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 2 {
		if b.count.Load() <= b.max.Load() || !b.evictLocked(t, now) {
			return
		}
		b.evicted.Add(1)
		b.release(1)
	}
}

// evictLocked drops a bucket: a full one of t, a full one of anybody, any one of t, any one at all, whichever it comes upon
// first in a bounded search. It finds none only if all are just being made.
func (b *Budget) evictLocked(t *Table, now int64) bool {
	for i := range visits {
		if t.shards[(b.cursor+i)%shardCount].evict(now, false) {
			b.cursor++
			return true
		}
	}
	for range visits {
		if b.visitLocked(now, false) {
			return true
		}
	}
	for i := range t.shards {
		if t.shards[(b.cursor+i)%shardCount].evict(now, true) {
			return true
		}
	}
	for range len(b.tables) * shardCount {
		if b.visitLocked(now, true) {
			return true
		}
	}
	return false
}

// visitLocked tries the shard at the cursor, and moves on if it has nothing to offer.
func (b *Budget) visitLocked(now int64, whatever bool) bool {
	if len(b.tables) == 0 {
		return false
	}
	b.cursor %= len(b.tables) * shardCount
	t := b.tables[b.cursor/shardCount]
	if t.shards[b.cursor%shardCount].evict(now, whatever) {
		return true
	}
	b.cursor++
	return false
}
