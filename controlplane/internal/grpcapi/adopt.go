package grpcapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	// adoptTimeout bounds an adoption, most of which is waiting for the keys of data planes.
	adoptTimeout = time.Minute
	// maxAdopted bounds the revision that a store can be made to continue from: JSON holds numbers up to it exactly.
	maxAdopted = 1 << 53
)

// adopter makes foreign data planes follow this store, one adoption at a time.
type adopter struct {
	publisher *publish.Publisher
	fleet     *fleet.Fleet
	log       *slog.Logger
	busy      chan struct{} // capacity 1
}

func newAdopter(d Deps) *adopter {
	return &adopter{publisher: d.Publisher, fleet: d.Fleet, log: d.Log, busy: make(chan struct{}, 1)}
}

// adoption is what an adoption changes.
type adoption struct {
	rows  []*gatewayv1.KeyChange
	ids   []string
	epoch string
}

// candidate is a foreign data plane and what it holds.
type candidate struct {
	*fleet.Member
	holds store.Ancestor
}

// adopt compares the keys of the picked members with the store's and, unless dryRun, logs what changes and begins an epoch that descends
// from theirs. Others whose state that epoch covers cannot be left out: they are compared and named like the picked ones. That ends every
// stream; all data planes learn of the epoch when they are back, a moment later.
func (a *adopter) adopt(ctx context.Context, pick func(store.State) ([]candidate, error), dryRun bool) (adoption, error) {
	ctx, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return adoption{}, ctx.Err()
	}
	head := a.publisher.State()
	picked, err := pick(head)
	if err != nil || len(picked) == 0 {
		return adoption{}, err
	}
	var out adoption
	if picked, out.rows, err = a.compareAll(ctx, picked, head); err != nil {
		return adoption{}, err
	}
	for _, c := range picked {
		out.ids = append(out.ids, c.ID())
	}
	if dryRun {
		return out, nil
	}
	for _, c := range out.rows { // before it happens: afterwards there may be nobody left to say it
		a.log.Warn("adoption changes a key", "dataplane", c.GetDataplane(), "key", c.GetName(), "revived", c.GetRevived(), "dropped", c.GetDropped())
	}
	out.epoch, err = a.beginEpoch(ctx, picked)
	return out, err
}

// compareAll compares the keys of the picked members, and of those that come along: also of the ones that connect meanwhile.
func (a *adopter) compareAll(ctx context.Context, picked []candidate, head store.State) (_ []candidate, rows []*gatewayv1.KeyChange, _ error) {
	for i := 0; ; i++ {
		if i == len(picked) {
			if picked = a.appendCovered(picked, head); i == len(picked) {
				return picked, rows, nil
			}
		}
		more, err := a.compare(ctx, picked[i])
		if err != nil {
			return nil, nil, fmt.Errorf("keys of data plane %q: %w", picked[i].ID(), err)
		}
		rows = append(rows, more...)
	}
}

// appendCovered appends every other foreign member that will follow too once the store descends from the state of the picked ones: it
// holds no more of the same epoch.
func (a *adopter) appendCovered(picked []candidate, head store.State) []candidate {
	has, newest := make(map[*fleet.Member]bool, len(picked)), make(map[string]uint64, 1)
	for _, c := range picked {
		has[c.Member] = true
		newest[c.holds.Epoch] = max(newest[c.holds.Epoch], c.holds.Revision)
	}
	for _, m := range a.fleet.Members() {
		before := len(picked)
		if has[m] {
			continue
		}
		if picked = appendForeign(picked, m, head); len(picked) == before {
			continue
		}
		holds := picked[before].holds
		if reach, ok := newest[holds.Epoch]; !ok || holds.Revision > reach {
			picked = picked[:before]
		}
	}
	return picked
}

func (a *adopter) beginEpoch(ctx context.Context, picked []candidate) (string, error) {
	var ancestors []store.Ancestor
	var newest uint64
	for _, c := range picked {
		if c.holds.Revision > maxAdopted {
			return "", invalid("data plane %q: got revision %d (want at most %d)", c.ID(), c.holds.Revision, uint64(maxAdopted))
		}
		ancestors, newest = append(ancestors, c.holds), max(newest, c.holds.Revision)
	}
	state, err := a.publisher.BeginEpoch(ctx, ancestors, newest)
	if err != nil {
		return "", err
	}
	a.log.Warn("new epoch, foreign data planes adopted", "dataplanes", len(picked), "epoch", state.Epoch, "revision", state.Revision)
	return state.Epoch, nil
}

// adoptOne picks m, unless an adoption meanwhile covers it.
func adoptOne(m *fleet.Member) func(store.State) ([]candidate, error) {
	return func(head store.State) ([]candidate, error) { return appendForeign(nil, m, head), nil }
}

// adoptAll picks every connected foreign member.
func (a *adopter) adoptAll(head store.State) (picked []candidate, _ error) {
	for _, m := range a.fleet.Members() {
		picked = appendForeign(picked, m, head)
	}
	return picked, nil
}

// adoptNamed picks the members of those ids; each must be connected and foreign.
func (a *adopter) adoptNamed(ids []string) func(store.State) ([]candidate, error) {
	return func(head store.State) ([]candidate, error) {
		var picked []candidate
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			m := a.fleet.Member(id)
			if m == nil {
				return nil, status.Errorf(codes.NotFound, "unknown data plane %q", id)
			}
			before := len(picked)
			if picked = appendForeign(picked, m, head); len(picked) == before {
				return nil, status.Errorf(codes.FailedPrecondition, "data plane %q is not a connected foreign one", id)
			}
		}
		return picked, nil
	}
}

// appendForeign appends m if it is connected, and foreign to a store at head: it may have been adopted since it said Hello.
func appendForeign(picked []candidate, m *fleet.Member, head store.State) []candidate {
	reason, holds := m.Foreign()
	if reason == "" || slices.ContainsFunc(head.Lineage, func(a store.Ancestor) bool { return a.Epoch == holds.Epoch && holds.Revision <= a.Revision }) {
		return picked
	}
	return append(picked, candidate{m, holds})
}

// compare lists the keys whose acceptance on c would change: a secret that is accepted there only, or here only.
func (a *adopter) compare(ctx context.Context, c candidate) ([]*gatewayv1.KeyChange, error) {
	served := make(map[string][]byte)
	list := &gatewayv1.Command{Action: &gatewayv1.Command_ListKeys{ListKeys: &gatewayv1.ListKeysCommand{}}}
	err := c.Do(ctx, list, func(page []*gatewayv1.Entry) {
		for _, e := range page {
			if len(served) < gatewayv1.MaxKeys {
				served[e.GetId()] = e.GetValue()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if _, holds := c.Foreign(); holds != c.holds {
		return nil, fleet.ErrDisconnected // and back with another state
	}
	var rows []*gatewayv1.KeyChange
	note := func(name string, there, here []byte) {
		if revived, dropped := keyChange(there, here); revived || dropped {
			rows = append(rows, &gatewayv1.KeyChange{Dataplane: c.ID(), Name: clean(name, maxText), Revived: revived, Dropped: dropped})
		}
	}
	err = a.publisher.View(ctx, func(r store.Reader) error {
		for id, value := range r.Entries(gatewayv1.Part_PART_KEYS, store.ID{}) {
			note(id.ID, served[id.ID], value)
			delete(served, id.ID)
		}
		return nil
	})
	for name, value := range served {
		note(name, value, nil)
	}
	slices.SortFunc(rows, func(a, b *gatewayv1.KeyChange) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return rows, err
}

// keyChange compares the encodings of a key on a data plane and in the store; nil: there is none. A key whose scope differs is
// both, for what it admits to changes.
func keyChange(there, here []byte) (revived, dropped bool) {
	if bytes.Equal(there, here) {
		return false, false
	}
	var old, now gatewayv1.Key
	if proto.Unmarshal(there, &old) != nil || proto.Unmarshal(here, &now) != nil {
		return true, true
	}
	scope := old.GetOnly() != now.GetOnly() || !slices.Equal(old.GetServices(), now.GetServices())
	scope = scope && there != nil && here != nil
	return scope || hasMore(&now, &old), scope || hasMore(&old, &now)
}

// hasMore reports whether a has a secret that b has not, or not for as long.
func hasMore(a, b *gatewayv1.Key) bool {
	return slices.ContainsFunc(a.GetSecrets(), func(s *gatewayv1.Secret) bool {
		return !slices.ContainsFunc(b.GetSecrets(), func(other *gatewayv1.Secret) bool {
			return bytes.Equal(s.GetSha256(), other.GetSha256()) && (other.GetExpiresAtMs() == 0 ||
				s.GetExpiresAtMs() != 0 && s.GetExpiresAtMs() <= other.GetExpiresAtMs())
		})
	})
}
