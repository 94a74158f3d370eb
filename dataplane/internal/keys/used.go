package keys

import (
	"sync"
	"time"
)

// maxUses bounds what waits for TakeUsed: 24 MiB. Beyond it, uses go unnoted until the secret's next minute.
const maxUses = 1 << 20

// Use says that a secret was used in a minute.
type Use struct {
	Name     string // of the key
	SecretID string
	At       time.Time // start of the minute, UTC
}

// useLog gathers the uses since it was last drained.
type useLog struct {
	mu   sync.Mutex
	uses []use
}

type use struct {
	identity *Identity
	minute   uint32
	secret   uint32 // its place in identity.Secrets
}

// note adds a use of the secret s of v, unless its minute is noted already or the clock went back.
func (l *useLog) note(v *version, s *secret, now time.Time) {
	minute := uint32(max(0, now.Unix()) / 60)
	last := s.used.Load()
	if minute <= last || !s.used.CompareAndSwap(last, minute) {
		return // another request of the same moment notes it
	}
	u := use{identity: v.identity, minute: minute}
	if s != &v.secrets[0] {
		u.secret = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.uses) < maxUses {
		l.uses = append(l.uses, u)
	}
}

// TakeUsed returns the uses since its last call, at most one per secret and minute (two, if the key was changed at that
// moment), at most 2^20 in all. Keys removed meanwhile may be among them.
func (t *Table) TakeUsed() []Use {
	t.used.mu.Lock()
	noted := t.used.uses
	t.used.uses = nil
	t.used.mu.Unlock()

	uses := make([]Use, len(noted))
	for i, n := range noted {
		uses[i] = Use{
			Name:     n.identity.Name,
			SecretID: n.identity.Secrets[n.secret].ID,
			At:       time.Unix(int64(n.minute)*60, 0).UTC(),
		}
	}
	return uses
}
