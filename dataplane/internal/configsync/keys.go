package configsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/keys"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Bounds of Applied.unusable and Hello.unusable: so many entries, and so many bytes of an id or a reason. What a store sends as an
// id may be long; a Hello with it must not be too large to be taken.
const (
	maxNamed    = 100
	maxNameText = 256
)

// keysPart is the keys: what was received is what is served.
type keysPart struct {
	part
	table    *keys.Table
	digest   gatewayv1.Digest     // of table and others, kept up with each change
	others   map[cache.Ref][]byte // entries that are no keys; they count in the digest
	unusable map[string]string    // name → why the entry admits nobody
}

// restore fills the table from the cache. The order is that of the names, so that of two keys with one secret the same one
// wins at each start.
func (k *keysPart) restore(content *cache.Content) {
	for _, ref := range slices.SortedFunc(maps.Keys(content.Entries), compareRefs) {
		k.put(ref, content.Entries[ref])
	}
	k.present, k.tried, k.state = true, true, content.State
}

func compareRefs(a, b cache.Ref) int {
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	return strings.Compare(a.ID, b.ID)
}

func (k *keysPart) get(ref cache.Ref) ([]byte, bool) {
	if ref.Kind == gatewayv1.Kind_KIND_KEY {
		return k.table.Get(ref.ID)
	}
	raw, ok := k.others[ref]
	return raw, ok
}

// put takes one entry, whatever it holds: the digest is over what was sent.
func (k *keysPart) put(ref cache.Ref, value []byte) {
	k.digest = k.replaced(k.digest, ref, value)
	k.set(ref, value)
}

// replaced returns a digest with value in the place of what is there.
func (k *keysPart) replaced(d gatewayv1.Digest, ref cache.Ref, value []byte) gatewayv1.Digest {
	if old, ok := k.get(ref); ok {
		d = d.Sub(gatewayv1.EntryDigest(ref.Kind, ref.ID, old))
	}
	return d.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, value))
}

// set is put for who has the digest already.
func (k *keysPart) set(ref cache.Ref, value []byte) {
	delete(k.unusable, label(ref))
	if ref.Kind != gatewayv1.Kind_KIND_KEY {
		k.others[ref] = value
		k.unusable[label(ref)] = "not a key"
		return
	}
	id, err := parseKey(ref.ID, value)
	if taken := k.table.Put(ref.ID, value, id); err == nil {
		err = taken
	}
	if err != nil {
		k.unusable[label(ref)] = err.Error()
	}
}

func (k *keysPart) remove(ref cache.Ref) {
	old, ok := k.get(ref)
	if !ok {
		return
	}
	k.digest = k.digest.Sub(gatewayv1.EntryDigest(ref.Kind, ref.ID, old))
	delete(k.unusable, label(ref))
	if ref.Kind == gatewayv1.Kind_KIND_KEY {
		k.table.Remove(ref.ID)
		return
	}
	delete(k.others, ref)
}

// label is how an entry is named to operators: a key by its name.
func label(ref cache.Ref) string {
	if ref.Kind == gatewayv1.Kind_KIND_KEY {
		return ref.ID
	}
	return fmt.Sprintf("%v %q", ref.Kind, ref.ID)
}

// retryTaken puts keys again whose secret another key had: the other one may have let go of it.
func (k *keysPart) retryTaken(refs []cache.Ref) {
	for _, ref := range refs {
		if _, bad := k.unusable[label(ref)]; !bad || ref.Kind != gatewayv1.Kind_KIND_KEY {
			continue
		}
		if raw, ok := k.table.Get(ref.ID); ok {
			k.set(ref, raw)
		}
	}
}

func (k *keysPart) count() int { return k.table.Len() + len(k.others) }

func (k *keysPart) served() cache.State {
	return cache.State{Revision: k.state.Revision, Digest: k.digest, Count: uint64(k.count())}
}

// all returns what is there now as a list that no later change touches.
func (k *keysPart) all() []cache.Entry {
	list := make([]cache.Entry, 0, k.count())
	for name, raw := range k.table.All() {
		list = append(list, cache.Entry{Ref: cache.Ref{Kind: gatewayv1.Kind_KIND_KEY, ID: name}, Value: raw})
	}
	for ref, raw := range k.others {
		list = append(list, cache.Entry{Ref: ref, Value: raw})
	}
	return list
}

// takeKeysLocked applies records, each one's removals first. They are in effect when it returns, and on disk unless
// Applied says otherwise.
func (r *replica) takeKeysLocked(fresh []*gatewayv1.Record, began time.Time) replies {
	k := &r.keys
	if len(fresh) == 0 {
		return r.appliedKeysLocked(nil, began)
	}
	last := fresh[len(fresh)-1]
	changed, err := k.apply(fresh)
	k.retryTaken(changed)
	if errors.Is(err, errDiffers) {
		r.noteServingLocked()
		r.askAnew(r.resyncLocked(&k.part, err.Error()))
		return nil
	}
	if err != nil {
		k.broken = true // Hello asks for the part whole, when there is a next one
		r.noteServingLocked()
		return r.rejectLocked(&k.part, last.GetRevision(), err)
	}
	moved := k.state.Epoch != r.epoch
	r.advanceLocked(&k.part, last.GetRevision(), k.digest, k.count())
	if moved {
		fresh = nil // the file names one epoch
	}
	r.saveKeysLocked(fresh)
	return r.appliedKeysLocked(changed, began)
}

var errDiffers = errors.New("digest of the records differs")

// apply returns the entries that were put. An error is the first record's that contradicts its digest or makes too many keys:
// of that one and those behind it only removals are applied, for what they put may have been revoked.
func (k *keysPart) apply(records []*gatewayv1.Record) (changed []cache.Ref, err error) {
	for _, rec := range records {
		for _, ref := range rec.GetRemoves() {
			k.remove(cache.Ref{Kind: ref.GetKind(), ID: ref.GetId()})
		}
		if err == nil {
			err = k.judge(rec)
		}
		if err != nil {
			continue
		}
		for _, e := range rec.GetPuts() {
			ref := cache.Ref{Kind: e.GetKind(), ID: e.GetId()}
			k.set(ref, e.GetValue())
			changed = append(changed, ref)
		}
	}
	return changed, err
}

// judge looks at what a record puts, whose removals were applied, and takes its digest over if it is the right one. No store
// puts an entry twice in one record; that would not add up here.
func (k *keysPart) judge(rec *gatewayv1.Record) error {
	if n := k.count() + len(rec.GetPuts()); n > gatewayv1.MaxKeys {
		return fmt.Errorf("too many keys, got up to %d (want at most %d)", n, gatewayv1.MaxKeys)
	}
	after := k.digest
	for _, e := range rec.GetPuts() {
		after = k.replaced(after, cache.Ref{Kind: e.GetKind(), ID: e.GetId()}, e.GetValue())
	}
	if want, err := gatewayv1.ParseDigest(rec.GetDigestAfter()); err != nil || want != after {
		return errDiffers
	}
	k.digest = after
	return nil
}

// replaceKeysLocked takes a snapshot over by its difference from the table: what is gone first, then what is new or
// changed. A key that stays as it is never stops being valid.
func (r *replica) replaceKeysLocked(s *staging, began time.Time) replies {
	k := &r.keys
	for _, e := range k.all() {
		if _, stays := s.entries[e.Ref]; !stays {
			k.remove(e.Ref)
		}
	}
	for ref, value := range s.entries {
		if old, ok := k.get(ref); !ok || string(old) != string(value) {
			k.put(ref, value)
		}
	}
	k.retryTaken(slices.SortedFunc(maps.Keys(s.entries), compareRefs))
	r.advanceLocked(&k.part, s.want.GetRevision(), s.digest, len(s.entries))
	r.saveKeysLocked(nil)
	return r.appliedKeysLocked(nil, began)
}

func (r *replica) saveKeysLocked(fresh []*gatewayv1.Record) {
	r.saveLocked(&r.keys.part, fresh, r.keys.all)
}

// appliedKeysLocked reports the keys, and the configuration if it waited for them. Without changed all unusable entries are
// named.
func (r *replica) appliedKeysLocked(changed []cache.Ref, began time.Time) replies {
	k := &r.keys
	r.readyLocked()
	r.noteServingLocked()
	took := time.Since(began)
	r.opts.Log.Debug("keys applied", "revision", k.state.Revision, "keys", k.count(), "unusable", len(k.unusable), "took", took)
	out := replies{message(&gatewayv1.Applied{
		Part:       k.id,
		Revision:   k.state.Revision,
		Digest:     k.digest.Bytes(),
		TookUs:     took.Microseconds(),
		NotDurable: k.unsaved,
		Unusable:   k.name(changed),
	})}
	return append(out, r.serveLocked()...)
}

// name lists unusable entries, in order of their names.
func (k *keysPart) name(changed []cache.Ref) (list []*gatewayv1.UnusableEntry) {
	var labels []string
	for _, ref := range changed {
		labels = append(labels, label(ref))
	}
	if changed == nil {
		labels = slices.Collect(maps.Keys(k.unusable))
	}
	slices.Sort(labels)
	for _, l := range slices.Compact(labels) {
		if why, bad := k.unusable[l]; bad && len(list) < maxNamed {
			list = append(list, &gatewayv1.UnusableEntry{Id: clip(l), Reason: clip(why)})
		}
	}
	return list
}

// clip returns the begin of a text, and that whole characters.
func clip(s string) string {
	if len(s) > maxNameText {
		s = s[:maxNameText]
	}
	return strings.ToValidUTF8(s, "")
}
