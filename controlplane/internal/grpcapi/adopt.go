package grpcapi

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// adopter makes foreign data planes follow this store.
type adopter struct {
	publisher *publish.Publisher
	fleet     *fleet.Fleet
	log       *slog.Logger
}

// adoption is what an adoption changes.
type adoption struct {
	rows  []*gatewayv1.KeyChange
	ids   []string
	epoch string
}

// adopt compares the keys of members with the store's and, unless dryRun, begins an epoch that descends from theirs. Every stream is then cut, so that all data
// planes learn of the epoch when they are back, a moment later.
func (a *adopter) adopt(ctx context.Context, members []*fleet.Member, dryRun bool) (adoption, error) {
	var out adoption
	var ancestors []store.Ancestor
	var newest uint64
	for _, m := range members {
		rows, err := a.compare(ctx, m)
		if err != nil {
			return adoption{}, fmt.Errorf("keys of data plane %q: %w", m.ID(), err)
		}
		_, holds := m.Foreign()
		ancestors, newest = append(ancestors, holds), max(newest, holds.Revision)
		out.rows, out.ids = append(out.rows, rows...), append(out.ids, m.ID())
	}
	if dryRun || len(members) == 0 {
		return out, nil
	}
	state, err := a.publisher.BeginEpoch(ctx, ancestors, newest)
	if err != nil {
		return adoption{}, err
	}
	out.epoch = state.Epoch
	a.log.Warn("new epoch, foreign data planes adopted", "dataplanes", out.ids, "epoch", state.Epoch, "revision", state.Revision)
	a.fleet.CutAll("the store began a new epoch")
	return out, nil
}

// compare lists the keys whose acceptance on m would change: a secret that is accepted there only, or here only.
func (a *adopter) compare(ctx context.Context, m *fleet.Member) ([]*gatewayv1.KeyChange, error) {
	served := make(map[string][]byte)
	err := m.Do(ctx, &gatewayv1.Command{Action: &gatewayv1.Command_ListKeys{ListKeys: &gatewayv1.ListKeysCommand{}}}, func(page []*gatewayv1.Entry) {
		for _, e := range page {
			if len(served) < gatewayv1.MaxKeys {
				served[e.GetId()] = e.GetValue()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var rows []*gatewayv1.KeyChange
	note := func(name string, there, here []byte) {
		if revived, dropped := keyChange(there, here); revived || dropped {
			rows = append(rows, &gatewayv1.KeyChange{Dataplane: m.ID(), Name: name, Revived: revived, Dropped: dropped})
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
