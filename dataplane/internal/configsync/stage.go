package configsync

import (
	"fmt"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Bounds of what a snapshot may stage, in bytes: what the entries that are allowed come to, and a margin.
const (
	maxConfigBytes = 512 << 20
	maxKeysBytes   = 4 << 30
)

// staging gathers the chunks of a snapshot. Nothing of it is served before it is complete and has its digest.
type staging struct {
	want    *gatewayv1.PartState
	entries map[cache.Ref][]byte
	digest  gatewayv1.Digest
	next    uint32
	bytes   int64
	refused bool // over a bound: the rest is passed over
}

// tooLarge is a snapshot over a bound: rejected, not asked for again.
type tooLarge struct{ reason string }

func (e *tooLarge) Error() string { return e.reason }

// add takes a chunk. A *tooLarge comes once per snapshot; any other error is against the protocol.
func (s *staging) add(c *gatewayv1.SnapshotChunk) error {
	if c.GetIndex() != s.next {
		return fmt.Errorf("snapshot of %v: chunk %d (want %d)", s.want.GetPart(), c.GetIndex(), s.next)
	}
	if got := c.GetState(); got.GetRevision() != s.want.GetRevision() || got.GetCount() != s.want.GetCount() {
		return fmt.Errorf("snapshot of %v: chunk of revision %d (want %d)", s.want.GetPart(), got.GetRevision(), s.want.GetRevision())
	}
	s.next++
	if s.refused {
		return nil
	}
	for _, e := range c.GetEntries() {
		ref := cache.Ref{Kind: e.GetKind(), ID: e.GetId()}
		if _, twice := s.entries[ref]; twice {
			return fmt.Errorf("snapshot of %v: entry %q twice", s.want.GetPart(), ref.ID)
		}
		s.entries[ref] = e.GetValue()
		s.bytes += int64(len(ref.ID) + len(e.GetValue()))
		s.digest = s.digest.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, e.GetValue()))
	}
	return s.bound()
}

// bound refuses what is too large before it is all here.
func (s *staging) bound() error {
	most, bytes := uint64(gatewayv1.MaxServices+1), int64(maxConfigBytes) // one entry is the settings
	if s.want.GetPart() == gatewayv1.Part_PART_KEYS {
		most, bytes = gatewayv1.MaxKeys, maxKeysBytes
	}
	count := max(s.want.GetCount(), uint64(len(s.entries)))
	if count <= most && s.bytes <= bytes {
		return nil
	}
	s.refused, s.entries = true, nil
	return &tooLarge{fmt.Sprintf("snapshot too large, got %d entries and at least %d bytes (want at most %d and %d)", count, s.bytes, most, bytes)}
}

// complete checks a whole snapshot against what it was announced to be.
func (s *staging) complete() error {
	want, err := gatewayv1.ParseDigest(s.want.GetDigest())
	if err != nil {
		return err
	}
	if got := uint64(len(s.entries)); got != s.want.GetCount() {
		return fmt.Errorf("snapshot of %v: %d entries (want %d)", s.want.GetPart(), got, s.want.GetCount())
	}
	if s.digest != want {
		return fmt.Errorf("snapshot of %v: digest %v (want %v)", s.want.GetPart(), s.digest, want)
	}
	return nil
}
