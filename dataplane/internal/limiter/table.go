package limiter

import (
	"sync"
)

const (
	shardCount = 32 // a power of two
	// sweep is how many buckets of a shard are looked at in search of a full one.
	sweep = 8
)

// Table holds the buckets of one service. Make it with NewTable; Close it when the service is gone.
type Table struct {
	budget *Budget
	shards [shardCount]shard
}

// shard has a part of a table's buckets.
type shard struct {
	mu      sync.Mutex
	rate    *Rate
	buckets map[Client]int64 // see Rate.take
	closed  bool             // new buckets are not kept
}

// NewTable returns a table whose buckets count towards b, which must not be nil.
func NewTable(r Rate, b *Budget) *Table {
	t := &Table{budget: b}
	for i := range t.shards {
		t.shards[i].rate = &r
	}
	b.join(t)
	return t
}

func (t *Table) shard(c Client) *shard { return &t.shards[c%shardCount] }

// Take asks for one token of c's bucket at now.
func (t *Table) Take(c Client, now int64) Decision {
	s := t.shard(c)
	s.mu.Lock()
	tat, known := s.buckets[c]
	if !known {
		s.mu.Unlock()
		return t.takeFirst(c, now)
	}
	after, d := s.rate.take(tat, now)
	if d.OK {
		s.buckets[c] = after
	}
	s.mu.Unlock()
	return d
}

// takeFirst is Take for a client without a bucket. No lock is held while room for one is made.
func (t *Table) takeFirst(c Client, now int64) Decision {
	t.budget.reserve(t, now)
	s := t.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	tat, known := s.buckets[c]
	after, d := s.rate.take(tat, now)
	if known || s.closed { // another request of the client was faster
		t.budget.release(1)
	}
	if s.closed {
		return d
	}
	if s.buckets == nil {
		s.buckets = make(map[Client]int64)
	}
	s.buckets[c] = after
	return d
}

// Rate returns the current rate.
func (t *Table) Rate() Rate {
	s := &t.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.rate
}

// Update changes the rate at now. Each bucket keeps its level, capped at the new burst; one of a client not seen yet, or
// full and dropped, is full. The same rate changes nothing.
func (t *Table) Update(r Rate, now int64) {
	for i := range t.shards {
		t.shards[i].update(&r, now)
	}
}

func (s *shard) update(r *Rate, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *s.rate == *r {
		return
	}
	for c, tat := range s.buckets {
		s.buckets[c] = s.rate.convert(tat, r, now)
	}
	s.rate = r
}

// Close drops all buckets and gives them back to the budget. Requests still on their way may use the table; they are
// counted no more. Closing again does nothing.
func (t *Table) Close() {
	t.budget.leave(t)
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		t.budget.release(len(s.buckets))
		s.buckets, s.closed = nil, true
		s.mu.Unlock()
	}
}

// evict drops a bucket: a full one if there is one among the first few, else, if whatever is set, the last looked at.
// It reports whether it did.
func (s *shard) evict(now int64, whatever bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buckets) == 0 {
		return false
	}
	units, seen := s.rate.unitsAt(now), 0
	for c, tat := range s.buckets { // begins at a random place
		if seen++; tat <= units || whatever && seen == min(sweep, len(s.buckets)) {
			delete(s.buckets, c)
			return true
		}
		if seen == sweep {
			break
		}
	}
	return false
}
