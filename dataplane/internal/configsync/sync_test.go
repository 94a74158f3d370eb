package configsync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestFirstState(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, hello := f.next()
		if hello.GetId() != "edge-1" || hello.GetEpoch() != "" || len(hello.GetParts()) != 0 || hello.GetInstance() == "" {
			t.Errorf("Hello = %v, want id edge-1 and nothing received", hello)
		}
		if want := []string{"auth_apikey", "circuit_breaker", "metrics", "rate_limit"}; !cmp.Equal(hello.GetMiddleware(), want) {
			t.Errorf("Hello.middleware = %q, want %q", hello.GetMiddleware(), want)
		}
		if f.Ready() {
			t.Error("ready without a state")
		}
		p.bring(s)
		if !f.Ready() || !f.admits("alice's") {
			t.Errorf("Ready = %v, admits = %v, want true, true", f.Ready(), f.admits("alice's"))
		}
		if got := f.serves(); !cmp.Equal(got, []string{"users"}) {
			t.Errorf("serves %q, want users", got)
		}
		<-f.Configured()
		if connected, foreign := f.Connected(); !connected || foreign {
			t.Errorf("Connected = %v, %v, want true, false", connected, foreign)
		}
	})
}

// The configuration comes first: it waits for the keys, for which it would refuse everybody.
func TestConfigurationWaitsForKeys(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.say(s.welcome())
		p.say(s.chunks(configID, 10))
		p.heartbeat()
		if f.serves() != nil {
			t.Fatal("served without keys")
		}
		p.say(s.chunks(keysID, 10))
		p.applied(keysID, 1)
		p.applied(configID, 2)
		if f.serves() == nil || !f.Ready() {
			t.Fatal("not served once the keys were there")
		}
	})
}

func TestStoreWithoutKeys(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := newStore("epoch-1")
		s.change(configID, map[cache.Ref][]byte{settingsRef: settingsValue(), service("users"): serviceValue("/users")})
		p, _ := f.next()
		p.say(s.welcome())
		p.applied(keysID, 0)
		p.say(s.chunks(configID, 10))
		p.applied(configID, 1)
		if !f.Ready() {
			t.Error("not ready")
		}
	})
}

func TestRecords(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.bring(s)

		r3 := s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")})
		r4 := s.change(keysID, map[cache.Ref][]byte{key("alice"): nil})
		p.say([]*gatewayv1.Record{r3, r4})
		p.applied(keysID, 4)
		if f.admits("alice's") || !f.admits("bob's") {
			t.Error("want bob in, alice out")
		}
		p.say([]*gatewayv1.Record{r3, r4}) // again: it is here already
		p.applied(keysID, 4)
		if f.admits("alice's") {
			t.Error("a repeated record brought alice back")
		}
		p.say(&gatewayv1.Record{Revision: 1, Part: keysID, Puts: []*gatewayv1.Entry{
			{Kind: gatewayv1.Kind_KIND_KEY, Id: "alice", Value: keyValue("alice's")},
		}})
		p.applied(keysID, 4)
		if f.admits("alice's") {
			t.Error("an old record brought alice back")
		}
		r5 := s.change(keysID, map[cache.Ref][]byte{key("carol"): keyValue("carol's")})
		p.say([]*gatewayv1.Record{r4, r5}) // one old, one new
		p.applied(keysID, 5)

		p.say(s.change(configID, map[cache.Ref][]byte{service("orders"): serviceValue("/orders"), service("users"): nil}))
		p.applied(configID, 6)
		if got := f.serves(); !cmp.Equal(got, []string{"orders"}) {
			t.Errorf("serves %q, want orders", got)
		}
		beat := p.heartbeat()
		want := []*gatewayv1.PartState{s.state[configID], s.state[keysID]}
		if diff := cmp.Diff(want, beat.GetServing(), protocmp.Transform()); diff != "" {
			t.Errorf("heartbeat (-want +got):\n%s", diff)
		}
	})
}

// A configuration that cannot be built holds back nothing else, and the next one applies on top of it.
func TestRejectedConfiguration(t *testing.T) {
	serve(t, t.TempDir(), func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.bring(s)
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): serviceValue("no path")}))
		r := p.rejected(configID)
		if r.GetRevision() != 3 || r.GetEntry() != "bad" || r.GetReason() == "" {
			t.Errorf("Rejected = %v, want revision 3 of bad", r)
		}
		p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}))
		p.applied(keysID, 4)
		if f.admits("alice's") || !cmp.Equal(f.serves(), []string{"users"}) {
			t.Errorf("admits = %v, serves = %q, want false and users", f.admits("alice's"), f.serves())
		}
		p.end <- nil
		p, hello := f.next()
		if got := hello.GetRejected().GetRevision(); got != 3 {
			t.Errorf("Hello.rejected = %v, want revision 3", hello.GetRejected())
		}
		wantServing := []*gatewayv1.PartState{{Part: configID, Revision: 2}}
		ignore := protocmp.IgnoreFields(&gatewayv1.PartState{}, "digest", "count")
		if diff := cmp.Diff(wantServing, hello.GetServing(), protocmp.Transform(), ignore); diff != "" {
			t.Errorf("Hello.serving (-want +got):\n%s", diff)
		}
		p.say(s.welcome())
		p.say(s.change(configID, map[cache.Ref][]byte{service("bad"): nil, service("good"): serviceValue("/good")}))
		p.applied(configID, 5)
		if got := f.serves(); !cmp.Equal(got, []string{"good", "users"}) {
			t.Errorf("serves %q, want good and users", got)
		}
	})
}

func TestUnusableKeys(t *testing.T) {
	unknown := append(keyValue("unknown's"), 0xf8, 0x07, 0x01) // field 127
	nested := marshal(&gatewayv1.Key{Secrets: []*gatewayv1.Secret{{}}})
	nested = append(nested[:1], 3, 0xf8, 0x07, 0x01) // a secret with field 127
	short := marshal(&gatewayv1.Key{Secrets: []*gatewayv1.Secret{{Sha256: []byte("short")}}})
	tests := []struct {
		name   string
		value  []byte
		reason string
	}{
		{"garbage", []byte{0xff, 0xff}, "not a key"},
		{"none", keyValue(), "got 0 secrets (want 1 or 2)"},
		{"three", keyValue("1", "2", "3"), "got 3 secrets (want 1 or 2)"},
		{"short", short, "secret 1: hash of 5 bytes (want 32)"},
		{"taken", keyValue("alice's"), "taken by key \"alice\""},
		{"twice", keyValue("same", "same"), "taken by secret"},
		{"unknown", unknown, "unknown fields 127"},
		{"unknown in a secret", nested, "unknown fields secrets.127"},
		{"utf8", []byte{0x1a, 0x01, 0xff}, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			serve(t, "", func(f *fleet) {
				s := standard()
				p, _ := f.next()
				p.bring(s)
				p.say(s.change(keysID, map[cache.Ref][]byte{key("bad"): tt.value, key("good"): keyValue("good's")}))
				a := p.applied(keysID, 3)
				if len(a.GetUnusable()) != 1 || a.GetUnusable()[0].GetId() != "bad" || !contains(a.GetUnusable()[0].GetReason(), tt.reason) {
					t.Errorf("unusable = %v, want bad: %s", a.GetUnusable(), tt.reason)
				}
				if !f.admits("good's") || !f.admits("alice's") || f.admits("unknown's") || f.admits("same") {
					t.Error("want good and alice in, nobody else")
				}
				p.end <- nil
				p, hello := f.next()
				if diff := cmp.Diff(a.GetUnusable(), hello.GetUnusable(), protocmp.Transform()); diff != "" {
					t.Errorf("Hello.unusable differs from that of Applied (-Applied +Hello):\n%s", diff)
				}
				p.say(s.welcome())
				p.say(s.change(keysID, map[cache.Ref][]byte{key("bad"): nil}))
				if a := p.applied(keysID, 4); len(a.GetUnusable()) != 0 {
					t.Errorf("unusable = %v after its removal, want none", a.GetUnusable())
				}
			})
		})
	}
}

// However many and however long, what is named of unusable keys leaves room for the rest of a Hello.
func TestUnusableKeysAreBounded(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.bring(s)
		bad := map[cache.Ref][]byte{}
		for i := range maxNamed + 1 {
			bad[key(fmt.Sprintf("%03d%s", i, strings.Repeat("ö", 4000)))] = []byte{0xff}
		}
		p.say(s.change(keysID, bad))
		p.applied(keysID, 3)
		p.end <- nil
		_, hello := f.next()
		if got := hello.GetUnusable(); len(got) != maxNamed || got[0].GetId() != "000"+strings.Repeat("ö", 126) {
			t.Errorf("Hello.unusable names %d entries, the first with an id of %d bytes, want %d of at most %d", len(got), len(got[0].GetId()), maxNamed, maxNameText)
		}
	})
}

// Two keys change their secrets within one record, in an order that the store does not promise.
func TestSecretsChangeHands(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")})
		p, _ := f.next()
		p.bring(s)
		p.say(s.change(keysID, map[cache.Ref][]byte{key("alice"): keyValue("new"), key("bob"): keyValue("alice's")}))
		if a := p.applied(keysID, 4); len(a.GetUnusable()) != 0 {
			t.Errorf("unusable = %v, want none", a.GetUnusable())
		}
		if !f.admits("alice's") || !f.admits("new") || f.admits("bob's") {
			t.Error("want both new secrets and not the old one")
		}
	})
}

func TestHeartbeats(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.bring(s)
		p.heartbeat()
		began := time.Now()
		p.say(&gatewayv1.ControlPlaneHeartbeat{TimeUs: 77}) // asks for no answer
		beat := p.heartbeat()
		if got := time.Since(began); got > heartbeatEvery {
			t.Errorf("heartbeat after %v, want at most %v", got, heartbeatEvery)
		}
		if beat.GetEchoTimeUs() != 77 || beat.GetTimeUs() == 0 {
			t.Errorf("heartbeat = %v, want an echo of 77", beat)
		}
		<-p.gone // 15 s of silence
		if got := time.Since(began); got > silence+time.Second {
			t.Errorf("cut after %v, want about %v", got, silence)
		}
		_, hello := f.next()
		if len(hello.GetParts()) != 2 || hello.GetEpoch() != "epoch-1" {
			t.Errorf("Hello = %v, want both parts of epoch-1", hello)
		}
		if !f.admits("alice's") {
			t.Error("alice is out without a control plane")
		}
	})
}
