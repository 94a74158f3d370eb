package reload

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"apigateway/controlplane/internal/compile"
	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// replace makes the entries of the file the whole of the config part, and the whole of the file's keys. Its error is config.Mistakes
// where a key of the file is held by the store already.
func replace(tx publish.Tx, file string, c *Content) error {
	if mistakes := heldByStore(tx, file, c.config); len(mistakes) > 0 {
		return mistakes
	}
	for _, id := range gone(tx, c.entries) {
		tx.Remove(id.Kind, id.ID)
	}
	putChanged(tx, c.entries.Config)
	putChanged(tx, c.entries.Keys)
	return nil
}

// gone lists what is there and not in entries. Keys of the store are not the file's to remove.
func gone(tx publish.Tx, entries compile.Entries) (ids []store.ID) {
	stays := make(map[store.ID]bool, len(entries.Config)+len(entries.Keys))
	for _, e := range slices.Concat(entries.Config, entries.Keys) {
		stays[store.ID{Kind: e.GetKind(), ID: e.GetId()}] = true
	}
	for id := range tx.Entries(gatewayv1.Part_PART_CONFIG) {
		if !stays[id] {
			ids = append(ids, id)
		}
	}
	for name := range tx.Names(store.FromFile) {
		if id := (store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: name}); !stays[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func putChanged(tx publish.Tx, entries []*gatewayv1.Entry) {
	for _, e := range entries {
		if old, ok := tx.Get(e.GetKind(), e.GetId()); !ok || !bytes.Equal(old, e.GetValue()) {
			tx.Put(e.GetKind(), e.GetId(), e.GetValue())
		}
	}
}

// keyReader is what both a change and a view of the store can tell.
type keyReader interface {
	Get(kind gatewayv1.Kind, id string) ([]byte, bool)
	Names(term store.Term) iter.Seq[string]
}

// heldByStore finds keys of the file whose name or secret a key of the store has.
func heldByStore(r keyReader, file string, cfg *config.Config) (mistakes config.Mistakes) {
	fromFile := make(map[string]bool) // these go or change with this very content
	for name := range r.Names(store.FromFile) {
		fromFile[name] = true
	}
	for i, k := range cfg.Keys {
		mistake := config.Mistake{File: file, Line: k.Line, Column: k.Column, Path: fmt.Sprintf("middleware_config.auth_apikey.valid_keys[%d]", i)}
		if _, ok := r.Get(gatewayv1.Kind_KIND_KEY, k.Name); ok && !fromFile[k.Name] {
			mistake.Message = fmt.Sprintf("key %q is in the store too (want it in one place: gatewayctl keys revoke %s)", k.Name, k.Name)
			mistakes = append(mistakes, mistake)
			continue
		}
		for holder := range r.Names(store.ByHash(k.Hash)) {
			if !fromFile[holder] {
				mistake.Message = fmt.Sprintf("key %q has the same secret as key %q of the store (want it in one place: gatewayctl keys revoke %s)", k.Name, holder, holder)
				mistakes = append(mistakes, mistake)
			}
		}
	}
	return mistakes
}
