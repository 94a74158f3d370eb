package keys

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const minPlaces = 64 // a power of two

// gone marks a place that was cleared, past which a search goes on. It admits nobody, so it can be searched like any entry.
var gone = new(entry)

// index finds the entry that a hash belongs to: open addressing with linear probing, at most half full. A place holds no
// hash: whether the entry is the right one, its current version says, which has to be read anyway (a cache miss less).
//
// Readers take no lock. One goroutine at a time writes; it fills a place or marks it as gone. When too few places are
// left a new index takes over; readers of the old one still find all that was there when they began.
type index struct {
	places []atomic.Pointer[entry] // a power of two
	filled int                     // places that are not nil, gone ones included; the writer's
	live   int                     // without gone ones; the writer's
}

// newIndex returns an empty index with room for n secrets and at least half as many again.
func newIndex(n int) *index {
	return &index{places: make([]atomic.Pointer[entry], max(minPlaces, 1<<bits.Len(uint(3*n))))}
}

// hasRoom reports whether n more secrets leave half of the places empty.
func (x *index) hasRoom(n int) bool { return 2*(x.filled+n) <= len(x.places) }

// first returns where a search for h begins. SHA-256 needs no further mixing.
func (x *index) first(h *Hash) int {
	return int(binary.LittleEndian.Uint64(h[:])) & (len(x.places) - 1)
}

// find returns the version and the secret in it that h belongs to, nil if there is none.
func (x *index) find(h *Hash) (*version, *secret) {
	mask := len(x.places) - 1
	for i := x.first(h); ; i = (i + 1) & mask {
		e := x.places[i].Load()
		if e == nil {
			return nil, nil
		}
		v := e.current.Load()
		if s := v.find(h); s != nil {
			return v, s
		}
	}
}

// insert makes e findable by h. There must be room.
func (x *index) insert(h *Hash, e *entry) {
	mask := len(x.places) - 1
	i := x.first(h)
	p := x.places[i].Load()
	for p != nil && p != gone {
		i = (i + 1) & mask
		p = x.places[i].Load()
	}
	if p == nil {
		x.filled++
	}
	x.live++
	x.places[i].Store(e)
}

// remove undoes one insert of h and e: it clears the first place of e on the way from h. Should that be the place of e's
// other secret, then the way of the other one leads on without a gap to h's place, which serves it from now on.
func (x *index) remove(h *Hash, e *entry) {
	mask := len(x.places) - 1
	i := x.first(h)
	for x.places[i].Load() != e {
		i = (i + 1) & mask
	}
	x.places[i].Store(gone)
	x.live--
}
