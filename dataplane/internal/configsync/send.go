package configsync

import (
	"context"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// send is the only caller of Send after Hello. It returns when the stream ended or this side has nothing more to say.
func (s *session) send(ctx context.Context) error {
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	welcome := s.welcome
	var changes <-chan struct{} // of breakers, once they were all told
	for {
		var err error
		select {
		case <-s.ctx.Done():
			return nil
		case <-ctx.Done():
			return s.leave(context.Cause(ctx))
		case why := <-s.client.replica.anew:
			return s.leave(why)
		case m := <-s.out:
			err = s.answer(m, changes != nil)
		case <-welcome:
			welcome, changes = nil, s.client.breakers.wake
			err = s.open()
		case <-changes:
			err = s.sendAll(s.client.breakers.changed())
		case <-heartbeat.C:
			err = s.beat(changes != nil)
		case <-flush.C:
			err = s.flushUses()
		}
		if err != nil {
			return err
		}
	}
}

// answer sends what the receiver has to say. A configuration that is being served brings breakers along.
func (s *session) answer(m *gatewayv1.SyncRequest, breakers bool) error {
	if err := s.stream.Send(m); err != nil {
		return err
	}
	if !breakers || m.GetApplied().GetPart() != gatewayv1.Part_PART_CONFIG {
		return nil
	}
	return s.sendAll(s.client.breakers.moved())
}

// open tells what a control plane wants to know first.
func (s *session) open() error {
	if err := s.beat(false); err != nil {
		return err
	}
	return s.sendAll(s.client.breakers.all())
}

// beat sends a heartbeat, and with it the breakers whose counters moved.
func (s *session) beat(breakers bool) error {
	if err := s.stream.Send(message(s.heartbeat())); err != nil {
		return err
	}
	if !breakers {
		return nil
	}
	return s.sendAll(s.client.breakers.moved())
}

func (s *session) heartbeat() *gatewayv1.DataPlaneHeartbeat {
	now := time.Now()
	h := s.client.replica.heartbeat()
	h.TimeUs = now.UnixMicro()
	h.Address = s.client.opts.Address()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard != 0 {
		h.EchoTimeUs, h.EchoHeldUs = s.heard, now.Sub(s.heardAt).Microseconds()
	}
	return h
}

// leave sends what is waiting, a last heartbeat and the uses of keys, and ends this side of the stream.
func (s *session) leave(why error) error {
	s.mu.Lock()
	s.leaving = why
	s.mu.Unlock()
	for {
		select {
		case m := <-s.out:
			if err := s.stream.Send(m); err != nil {
				return err
			}
		default:
			if err := s.beat(false); err != nil {
				return err
			}
			if err := s.flushUses(); err != nil {
				return err
			}
			return s.stream.CloseSend()
		}
	}
}

// flushUses sends the uses of keys. A store that is not followed does not know the keys; they wait for one that does.
func (s *session) flushUses() error {
	if s.client.replica.link.Load() != linkFollowing {
		return nil
	}
	for _, page := range usePages(s.client.opts.Keys.TakeUsed()) {
		if err := s.stream.Send(message(page)); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) sendAll(reports []*gatewayv1.BreakerReport) error {
	for _, r := range reports {
		if err := s.stream.Send(message(r)); err != nil {
			return err
		}
	}
	return nil
}

// message wraps what a data plane says.
func message(m any) *gatewayv1.SyncRequest {
	switch m := m.(type) {
	case *gatewayv1.Hello:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Hello{Hello: m}}
	case *gatewayv1.Applied:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Applied{Applied: m}}
	case *gatewayv1.Rejected:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Rejected{Rejected: m}}
	case *gatewayv1.DataPlaneHeartbeat:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Heartbeat{Heartbeat: m}}
	case *gatewayv1.BreakerReport:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Breakers{Breakers: m}}
	case *gatewayv1.KeyUses:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_KeyUses{KeyUses: m}}
	case *gatewayv1.CommandResult:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_CommandResult{CommandResult: m}}
	case *gatewayv1.KeyPage:
		return &gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_KeyPage{KeyPage: m}}
	}
	return &gatewayv1.SyncRequest{}
}
