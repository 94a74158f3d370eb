package configsync

import (
	"testing"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// other is a store of another history with other keys.
func other(lineage ...*gatewayv1.Ancestor) *store {
	s := newStore("epoch-2")
	s.lineage = lineage
	s.change(keysID, map[cache.Ref][]byte{key("mallory"): keyValue("mallory's")})
	s.change(configID, map[cache.Ref][]byte{settingsRef: settingsValue(), service("else"): serviceValue("/else")})
	return s
}

func TestForeignStores(t *testing.T) {
	back := standard() // an older copy of the store
	tests := []struct {
		name    string
		welcome *gatewayv1.Welcome
		follows bool
	}{
		{"another history", other().welcome(), false},
		{"empty store", newStore("epoch-9").welcome(), false},
		{"older copy", back.welcome(), false},
		{"lineage ends before", other(&gatewayv1.Ancestor{Epoch: "epoch-1", Revision: 2}).welcome(), false},
		{"lineage of another", other(&gatewayv1.Ancestor{Epoch: "epoch-0", Revision: 99}).welcome(), false},
		{"no epoch", &gatewayv1.Welcome{}, false},
		{"says foreign itself", &gatewayv1.Welcome{Epoch: "epoch-1", Foreign: "ahead of the store", Parts: back.welcome().Parts}, false},
		{"descendant", other(&gatewayv1.Ancestor{Epoch: "epoch-1", Revision: 3}).welcome(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := standard()
			s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")}) // revision 3
			filled(t, "", s, func(f *fleet, p *peer) {
				p.end <- nil
				p, _ = f.next()
				p.say(tt.welcome)
				o := other()
				p.say(o.chunks(keysID, 10))
				p.heartbeat()
				p.heartbeat()
				if _, foreign := f.Connected(); foreign == tt.follows {
					t.Errorf("foreign = %v, want %v", foreign, !tt.follows)
				}
				if got := f.admits("mallory's"); got != tt.follows {
					t.Errorf("admits mallory = %v, want %v", got, tt.follows)
				}
				if got := f.admits("alice's"); got == tt.follows {
					t.Errorf("admits alice = %v, want %v", got, !tt.follows)
				}
			})
		})
	}
}

// A foreign data plane can be asked what it has, and follows as soon as its history is a part of the store's.
func TestAdoption(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, standard(), func(f *fleet, p *peer) {
		p.end <- nil
		p, _ = f.next()
		o := other()
		w := o.welcome()
		w.Foreign = "another history"
		p.say(w)
		p.say(&gatewayv1.Command{Id: 7, Action: &gatewayv1.Command_ListKeys{ListKeys: &gatewayv1.ListKeysCommand{}}})
		page := await(p, "a page of keys", func(m *gatewayv1.SyncRequest) (*gatewayv1.KeyPage, bool) {
			return m.GetKeyPage(), m.GetKeyPage() != nil
		})
		if len(page.GetEntries()) != 1 || page.GetEntries()[0].GetId() != "alice" || page.GetCommandId() != 7 {
			t.Errorf("page = %v, want alice", page)
		}
		p.result(7, "")

		o.lineage = []*gatewayv1.Ancestor{{Epoch: "epoch-1", Revision: 2}}
		p.say(o.welcome())
		p.say(o.chunks(keysID, 1))
		p.applied(keysID, 1)
		if f.admits("alice's") || !f.admits("mallory's") {
			t.Error("the keys are not those of the new epoch")
		}
		if got := f.serves(); len(got) != 1 || got[0] != "users" {
			t.Errorf("serves %q, want users until the new configuration is complete", got)
		}
		p.end <- nil // in the middle: only what is of the new epoch is told as received
		p, hello := f.next()
		if hello.GetEpoch() != "epoch-2" || len(hello.GetParts()) != 1 || hello.GetParts()[0].GetPart() != keysID {
			t.Errorf("Hello = %v, want keys of epoch-2", hello)
		}
		p.say(o.welcome())
		p.say(o.chunks(configID, 1))
		p.applied(configID, 2)
	})
	serve(t, dir, func(f *fleet) {
		<-f.Configured()
		if f.admits("alice's") || !f.admits("mallory's") || f.serves()[0] != "else" {
			t.Error("the cache is not of the new epoch")
		}
		p, _ := f.next()
		p.say(standard().welcome()) // the store before: never back
		p.rejected(configID)
		if _, foreign := f.Connected(); !foreign {
			t.Error("follows the epoch before")
		}
	})
}

// A store without keys began a new epoch, and the stream ended before its configuration came: of the new epoch there is revision 0
// only. That epoch is followed all the same.
func TestNewEpochWithoutKeys(t *testing.T) {
	s := newStore("epoch-1")
	s.change(configID, map[cache.Ref][]byte{settingsRef: settingsValue(), service("users"): serviceValue("/users")})
	serve(t, "", func(f *fleet) {
		p, _ := f.next()
		p.say(s.welcome())
		p.say(s.chunks(configID, 10))
		p.applied(configID, 1)
		p.end <- nil
		p, _ = f.next()
		s.epoch, s.lineage = "epoch-3", []*gatewayv1.Ancestor{{Epoch: "epoch-1", Revision: 1}}
		s.change(configID, map[cache.Ref][]byte{service("orders"): serviceValue("/orders")})
		p.say(s.welcome())
		p.applied(keysID, 0)
		p.end <- nil
		p, _ = f.next()
		o := other()
		p.say(o.welcome())
		p.say(o.chunks(configID, 10))
		p.say(o.chunks(keysID, 10))
		p.rejected(keysID)
		p.heartbeat()
		if _, foreign := f.Connected(); !foreign || f.admits("mallory's") || f.serves()[0] != "users" {
			t.Errorf("foreign = %v, serves %q, want another history refused and users", foreign, f.serves())
		}
	})
}

// A new epoch with the same content needs no transfer.
func TestNewEpochSameContent(t *testing.T) {
	s := standard()
	filled(t, t.TempDir(), s, func(f *fleet, p *peer) {
		p.end <- nil
		p, _ = f.next()
		s.epoch, s.lineage = "epoch-2", []*gatewayv1.Ancestor{{Epoch: "epoch-1", Revision: 2}}
		p.say(s.welcome())
		p.applied(configID, 2)
		p.applied(keysID, 1)
		p.say(s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")}))
		p.applied(keysID, 3)
		p.end <- nil
		_, hello := f.next()
		if hello.GetEpoch() != "epoch-2" || len(hello.GetParts()) != 2 {
			t.Errorf("Hello = %v, want both parts of epoch-2", hello)
		}
	})
}

// Records that lead from what is here into the new epoch: the cache names the new one.
func TestNewEpochByRecords(t *testing.T) {
	dir, s := t.TempDir(), standard()
	filled(t, dir, s, func(f *fleet, p *peer) {
		p.end <- nil
		p, _ = f.next()
		s.epoch, s.lineage = "epoch-2", []*gatewayv1.Ancestor{{Epoch: "epoch-1", Revision: 2}}
		bob := s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")})
		orders := s.change(configID, map[cache.Ref][]byte{service("orders"): serviceValue("/orders")})
		p.say(s.welcome())
		p.say(bob)
		p.applied(keysID, 3)
		p.say(orders)
		p.applied(configID, 4)
	})
	serve(t, dir, func(f *fleet) {
		_, hello := f.next()
		if hello.GetEpoch() != "epoch-2" || len(hello.GetParts()) != 2 {
			t.Errorf("Hello = %v, want both parts of epoch-2", hello)
		}
	})
}

func (p *peer) result(id uint64, want string) {
	p.t.Helper()
	r := await(p, "a result", func(m *gatewayv1.SyncRequest) (*gatewayv1.CommandResult, bool) {
		return m.GetCommandResult(), m.GetCommandResult() != nil
	})
	if r.GetId() != id || !contains(r.GetError(), want) || (want == "") != (r.GetError() == "") {
		p.t.Errorf("result = %v, want id %d, error %q", r, id, want)
	}
}
