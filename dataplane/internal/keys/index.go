package keys

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const minCells = 64 // a power of two

// cell is one secret in the index. All but used is immutable: where the hash leads next is the owner's business.
type cell struct {
	hash  Hash
	owner *entry
	used  atomic.Uint32 // minute of the last noted use, since 1970
}

// gone marks the place of a removed cell, past which a search goes on. It has no owner's identity, so that the
// zero hash, which is its own, is unknown like any other.
var gone = &cell{owner: new(entry)}

// index finds cells by hash: open addressing with linear probing, at most half full. Readers take no lock. It is
// written by one goroutine at a time, which only ever fills a place or marks it as gone; when it is too full, a new
// index takes its place and readers of the old one lose nothing that was there when they began.
type index struct {
	places []atomic.Pointer[cell] // a power of two
	filled int                    // places that are not nil, gone ones included; the writer's
	live   int                    // without gone ones; the writer's
}

func newIndex(places int) *index { return &index{places: make([]atomic.Pointer[cell], places)} }

// first returns where a search for h begins. SHA-256 needs no further mixing.
func (x *index) first(h *Hash) int {
	return int(binary.LittleEndian.Uint64(h[:])) & (len(x.places) - 1)
}

// find returns the cell of h, nil if there is none.
func (x *index) find(h *Hash) *cell {
	mask := len(x.places) - 1
	for i := x.first(h); ; i = (i + 1) & mask {
		c := x.places[i].Load()
		if c == nil || c.hash == *h {
			return c
		}
	}
}

// insert adds c, whose hash must not be in x, and returns the index to use from then on: x, or a larger copy. Copies
// come at distances that grow with their size, so that a series of inserts and removals costs the same each.
func (x *index) insert(c *cell) *index {
	if 2*(x.filled+1) > len(x.places) {
		x = x.rebuilt()
	}
	x.place(c)
	return x
}

func (x *index) place(c *cell) {
	mask := len(x.places) - 1
	i := x.first(&c.hash)
	for p := x.places[i].Load(); p != nil && p != gone; p = x.places[i].Load() {
		i = (i + 1) & mask
	}
	if x.places[i].Load() == nil {
		x.filled++
	}
	x.live++
	x.places[i].Store(c)
}

// remove marks the place of h as gone.
func (x *index) remove(h *Hash) {
	mask := len(x.places) - 1
	for i := x.first(h); ; i = (i + 1) & mask {
		c := x.places[i].Load()
		if c == nil {
			return
		}
		if c.hash == *h {
			x.places[i].Store(gone)
			x.live--
			return
		}
	}
}

// rebuilt returns a copy without gone cells, a quarter to a third full.
func (x *index) rebuilt() *index {
	n := newIndex(max(minCells, 1<<bits.Len(uint(3*x.live))))
	for i := range x.places {
		if c := x.places[i].Load(); c != nil && c != gone {
			n.place(c)
		}
	}
	n.filled = n.live
	return n
}
