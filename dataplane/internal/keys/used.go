package keys

import (
	"sync"
	"time"
)

// maxUses bounds what waits for TakeUsed: 16 MiB. Beyond it uses are not noted, until the next minute's.
const maxUses = 1 << 20

// Use says that a secret was used in a minute.
type Use struct {
	Name     string // of the key
	SecretID string
	At       time.Time // start of the minute, UTC
}

// useLog gathers the uses since the last drain.
type useLog struct {
	mu   sync.Mutex
	uses []use
}

type use struct {
	cell   *cell
	minute uint32
}

// note adds a use of c, unless its minute is noted already or the clock went back.
func (l *useLog) note(c *cell, now time.Time) {
	minute := uint32(max(0, now.Unix()) / 60)
	last := c.used.Load()
	if minute <= last || !c.used.CompareAndSwap(last, minute) {
		return // another request of the same moment has noted it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.uses) < maxUses {
		l.uses = append(l.uses, use{c, minute})
	}
}

// TakeUsed returns the uses since its last call, at most one per secret and minute, at most 2^20 in all. Secrets removed
// meanwhile are left out.
func (t *Table) TakeUsed() []Use {
	t.used.mu.Lock()
	noted := t.used.uses
	t.used.uses = nil
	t.used.mu.Unlock()

	uses := make([]Use, 0, len(noted))
	for _, n := range noted {
		id := n.cell.owner.identity.Load()
		if s := id.secret(&n.cell.hash); s != nil {
			uses = append(uses, Use{Name: id.Name, SecretID: s.ID, At: time.Unix(int64(n.minute)*60, 0).UTC()})
		}
	}
	return uses
}
