package bolt

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// head is the state, and how many bytes of records the log has.
type head struct {
	store.State
	logBytes int
}

// headJSON is how a head is kept.
type headJSON struct {
	Epoch    string           `json:"epoch"`
	Lineage  []store.Ancestor `json:"lineage,omitempty"`
	Revision uint64           `json:"revision"`
	Floor    uint64           `json:"floor"`
	LogBytes int              `json:"log_bytes"`
	Config   partJSON         `json:"config"`
	Keys     partJSON         `json:"keys"`
}

type partJSON struct {
	Revision uint64 `json:"revision"`
	Digest   string `json:"digest"`
	Count    uint64 `json:"count"`
}

func (h *head) encode() ([]byte, error) {
	return json.Marshal(headJSON{
		Epoch:    h.Epoch,
		Lineage:  h.Lineage,
		Revision: h.Revision,
		Floor:    h.Floor,
		LogBytes: h.logBytes,
		Config:   partJSON{h.Config.Revision, h.Config.Digest.String(), h.Config.Count},
		Keys:     partJSON{h.Keys.Revision, h.Keys.Digest.String(), h.Keys.Count},
	})
}

func decodeHead(b []byte) (*head, error) {
	var j headJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	h := &head{logBytes: j.LogBytes}
	h.Epoch, h.Lineage, h.Revision, h.Floor = j.Epoch, j.Lineage, j.Revision, j.Floor
	var err error
	if h.Config, err = j.Config.part(); err != nil {
		return nil, fmt.Errorf("head: config: %w", err)
	}
	if h.Keys, err = j.Keys.part(); err != nil {
		return nil, fmt.Errorf("head: keys: %w", err)
	}
	return h, nil
}

func (p partJSON) part() (store.Part, error) {
	b, err := hex.DecodeString(p.Digest)
	if err != nil {
		return store.Part{}, err
	}
	d, err := gatewayv1.ParseDigest(b)
	return store.Part{Revision: p.Revision, Digest: d, Count: p.Count}, err
}
