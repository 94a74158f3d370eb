package keystore

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// The last use of secrets is kept in notes, apart from revisions: it never changes what data planes serve.
const (
	useTable   = "key_use"
	flushEvery = 5 * time.Minute
	// flushBatch is how many notes one transaction takes, so that a change of a key never waits long behind it.
	flushBatch = 1000
	// maxPending bounds the uses held in memory; half of it begins a flush early.
	maxPending = 1 << 20
	// lastFlush bounds the flush at the end of Run.
	lastFlush = 5 * time.Second
)

// Use says that a data plane admitted a secret.
type Use struct {
	// Name of the key.
	Name string
	// SecretID of its secret.
	SecretID string
	// At is when, to the minute.
	At time.Time
}

type useKey struct{ name, id string }

func (u useKey) note() string { return u.name + "/" + u.id }

// uses holds what was not written yet, in Unix minutes.
type uses struct {
	mu      sync.Mutex
	pending map[useKey]int64
	full    chan struct{} // capacity 1
}

// NoteUses takes up the last use of secrets. It shows at once and is written by Run. What lies in the future counts as
// now, what is older than what is known is ignored.
func (k *Keystore) NoteUses(used []Use) {
	now := k.now().Unix() / 60
	k.uses.mu.Lock()
	defer k.uses.mu.Unlock()
	for _, u := range used {
		key, at := useKey{u.Name, u.SecretID}, min(u.At.Unix()/60, now)
		if was, ok := k.uses.pending[key]; (ok || len(k.uses.pending) < maxPending) && at > was {
			k.uses.pending[key] = at
		}
	}
	if len(k.uses.pending) >= maxPending/2 {
		select {
		case k.uses.full <- struct{}{}:
		default:
		}
	}
}

// Run writes the last use of secrets every 5 minutes, and once more when ctx ends. It returns nil then.
func (k *Keystore) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-k.uses.full:
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			k.flush(end)
			return nil
		}
		k.flush(ctx)
	}
}

// flush writes what is pending; what cannot be written stays pending.
func (k *Keystore) flush(ctx context.Context) {
	k.uses.mu.Lock()
	pending := k.uses.pending
	k.uses.pending = map[useKey]int64{}
	k.uses.mu.Unlock()
	batch := make(map[useKey]int64, flushBatch)
	for key, at := range pending {
		batch[key] = at
		delete(pending, key)
		if len(batch) < flushBatch && len(pending) > 0 {
			continue
		}
		if err := k.write(ctx, batch); err != nil {
			k.log.Warn("last use of keys not written, trying again later", "err", err)
			k.uses.restore(batch)
			k.uses.restore(pending)
			return
		}
		clear(batch)
	}
}

// restore takes back what was not written, unless newer uses came.
func (u *uses) restore(back map[useKey]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, at := range back {
		u.pending[key] = max(u.pending[key], at)
	}
}

// write notes the uses of secrets that there are, and removes those of the others: a data plane may report a secret that
// was revoked meanwhile.
func (k *Keystore) write(ctx context.Context, batch map[useKey]int64) error {
	var notes []store.Note
	err := k.store.View(ctx, func(r store.Reader) error {
		for key, at := range batch {
			m, err := k.get(r, key.name)
			if err != nil {
				return err
			}
			was := readUse(r, key)
			switch {
			case !has(m, key.id) && was != 0:
				notes = append(notes, store.Note{Table: useTable, Key: key.note()})
			case has(m, key.id) && at > was:
				value := binary.BigEndian.AppendUint64(nil, uint64(at))
				notes = append(notes, store.Note{Table: useTable, Key: key.note(), Value: value})
			}
		}
		return nil
	})
	if err != nil || len(notes) == 0 {
		return err
	}
	return k.store.Note(ctx, notes...)
}

func has(key *gatewayv1.Key, secretID string) bool {
	return slices.ContainsFunc(key.GetSecrets(), func(s *gatewayv1.Secret) bool { return store.SecretID(s) == secretID })
}

// readUse returns the Unix minute that was written; 0: none.
func readUse(r store.Reader, key useKey) int64 {
	value, _ := r.Note(useTable, key.note())
	if len(value) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(value))
}

// last returns the last use that is pending.
func (u *uses) last(key useKey) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fromMinutes(u.pending[key])
}

// lastUsed returns the last use of a secret, pending or written.
func (k *Keystore) lastUsed(r store.Reader) func(useKey) time.Time {
	return func(key useKey) time.Time {
		if at := k.uses.last(key); !at.IsZero() {
			return at
		}
		return fromMinutes(readUse(r, key))
	}
}

func fromMinutes(m int64) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(m*60, 0)
}

// forget has the next flush remove the last use of secrets that ended.
func (u *uses) forget(name string, ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		u.pending[useKey{name, id}] = 0
	}
}
