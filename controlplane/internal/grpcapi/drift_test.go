package grpcapi

import (
	"strings"
	"testing"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Data found different while a stream lasts is mended by a snapshot, once.
func TestDriftWithinAStream(t *testing.T) {
	other := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "x", nil).Bytes()
	for _, test := range []struct {
		name string
		say  func(p *peer)
	}{
		{"applied", func(p *peer) {
			p.say(&gatewayv1.Applied{Part: keysPart, Revision: p.contents[keysPart].state.GetRevision(), Digest: other})
		}},
		{"heartbeat", func(p *peer) {
			p.answer(keysPart)
			s := &gatewayv1.PartState{Part: keysPart, Revision: p.contents[keysPart].state.GetRevision(), Digest: other}
			p.say(&gatewayv1.DataPlaneHeartbeat{Serving: []*gatewayv1.PartState{s}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, options{})
			p := w.joins("a")
			p.t = t
			w.addKey("alice")
			p.take() // records: the last update is no snapshot
			test.say(p)
			p.contents[keysPart].chunks = 0
			p.take()
			if p.contents[keysPart].chunks == 0 || w.fleet.Drifts() != 1 {
				t.Errorf("got %d chunks, %d drifts, want a snapshot and one drift", p.contents[keysPart].chunks, w.fleet.Drifts())
			}
			if w.proven(keysPart) {
				t.Error("a data plane that drifted proves something")
			}
			p.answer(keysPart)
			p.catchUp(w, keysPart)
			w.becomes("a", serving)
			p.idle(w)
		})
	}
}

func TestDriftFoundThere(t *testing.T) {
	w := newWorld(t, options{})
	p := w.joins("a")
	p.say(&gatewayv1.DataPlaneHeartbeat{Drifted: true})
	p.idle(w)
	if got := w.fleet.Drifts(); got != 1 {
		t.Errorf("drifts = %d, want 1", got)
	}
}

func TestKeyUses(t *testing.T) {
	w := newWorld(t, options{})
	w.addKey("alice")
	p := w.joins("a")
	at := time.Now().Add(-5 * time.Minute).Truncate(time.Minute)
	key, err := w.keys.Get(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	p.say(&gatewayv1.KeyUses{Uses: []*gatewayv1.KeyUse{
		{Name: "alice", SecretId: key.ID(), AtMinute: at.Unix() / 60},
		{Name: strings.Repeat("x", 1000), SecretId: "x", AtMinute: 1},
		{Name: "alice", SecretId: key.ID(), AtMinute: 1 << 62},
	}})
	p.idle(w)
	if key, err = w.keys.Get(t.Context(), "alice"); err != nil || key.Secrets[0].LastUsedAt.Before(at) {
		t.Errorf("last used at %v, %v, want %v", key.Secrets[0].LastUsedAt, err, at)
	}
}
