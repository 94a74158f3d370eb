package configsync

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"apigateway/dataplane/internal/cache"
	"apigateway/dataplane/internal/keys"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func (p *peer) breakers() *gatewayv1.BreakerReport {
	p.t.Helper()
	if len(p.reports) > 0 {
		r := p.reports[0]
		p.reports = p.reports[1:]
		return r
	}
	return await(p, "breakers", func(m *gatewayv1.SyncRequest) (*gatewayv1.BreakerReport, bool) {
		return m.GetBreakers(), m.GetBreakers() != nil
	})
}

func TestBreakerReports(t *testing.T) {
	serve(t, "", func(f *fleet) {
		s := standard()
		p, _ := f.next()
		p.say(newStore("epoch-1").welcome())
		p.applied(keysID, 0)
		if r := p.breakers(); !r.GetReset_() || len(r.GetStates()) != 0 {
			t.Errorf("first report = %v, want reset", r)
		}
		began := time.Now()
		p.bring(s)
		r := p.breakers() // with Applied, not with the next heartbeat: the service is new
		if waited := time.Since(began); waited >= time.Second {
			t.Errorf("a new service's breaker came after %v, want at once", waited)
		}
		if len(r.GetStates()) != 1 || r.GetStates()[0].GetState() != gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED || r.GetReset_() {
			t.Errorf("report = %v, want users closed", r)
		}
		f.breakers.note("users") // as its breaker does at each transition
		if r := p.breakers(); len(r.GetStates()) != 1 || r.GetStates()[0].GetService() != "users" {
			t.Errorf("report = %v, want users", r)
		}
		p.say(s.change(configID, map[cache.Ref][]byte{service("users"): nil, service("new"): serviceValue("/new")}))
		r = p.breakers()
		if len(r.GetRemoved()) != 1 || r.GetRemoved()[0] != "users" || len(r.GetStates()) != 1 {
			t.Errorf("report = %v, want users gone and new", r)
		}
		p.end <- nil
		p, _ = f.next()
		p.say(s.welcome())
		if r := p.breakers(); !r.GetReset_() || len(r.GetStates()) != 1 {
			t.Errorf("report on a new stream = %v, want reset and all", r)
		}
	})
}

func TestCommands(t *testing.T) {
	filled(t, "", standard(), func(_ *fleet, p *peer) {
		reset := func(id uint64, service string) *gatewayv1.Command {
			return &gatewayv1.Command{Id: id, Action: &gatewayv1.Command_ResetBreaker{ResetBreaker: &gatewayv1.ResetBreakerCommand{Service: service}}}
		}
		p.say(reset(1, "users"))
		p.result(1, "")
		p.say(reset(2, "nobody"))
		p.result(2, `service "nobody"`)
		unknown := &gatewayv1.Command{Id: 3}
		unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
		p.say(unknown)
		p.result(3, "not known")
	})
}

func TestKeyUses(t *testing.T) {
	uses := func(p *peer) *gatewayv1.KeyUse {
		return await(p, "uses", func(m *gatewayv1.SyncRequest) (*gatewayv1.KeyUse, bool) {
			if len(m.GetKeyUses().GetUses()) == 0 {
				return nil, false
			}
			return m.GetKeyUses().GetUses()[0], true
		})
	}
	var p *peer
	filled(t, "", standard(), func(f *fleet, first *peer) {
		p = first
		go func() { // a control plane that lives
			for {
				select {
				case <-p.gone:
					return
				case <-time.After(heartbeatEvery):
					_ = p.Send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Heartbeat{Heartbeat: &gatewayv1.ControlPlaneHeartbeat{TimeUs: 1}}})
				}
			}
		}()
		now := time.Now()
		f.keys.Verify(keys.HashOf("alice's"), now)
		time.Sleep(flushEvery) // in the bubble
		if u := uses(p); u.GetName() != "alice" || u.GetAtMinute() != now.Unix()/60 || u.GetSecretId() == "" {
			t.Errorf("use = %v, want alice at %d", u, now.Unix()/60)
		}
		f.keys.Verify(keys.HashOf("alice's"), now.Add(flushEvery))
		f.stop() // what is left goes with the goodbye
		f.stop = func() {}
		if u := uses(p); u.GetAtMinute() != now.Add(flushEvery).Unix()/60 {
			t.Errorf("last use = %v, want minute %d", u, now.Add(flushEvery).Unix()/60)
		}
	})
}
