package grpcapi

import (
	"time"

	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// sendAll is the one goroutine that sends on the stream. It reads the publisher's log from the stream's own position, so a slow
// data plane holds up nothing and costs no memory.
func (ses *session) sendAll() error {
	sub := ses.srv.publisher.Subscribe()
	defer sub.Close()
	heartbeat := time.NewTicker(ses.srv.timings.heartbeat)
	defer heartbeat.Stop()
	if err := ses.stream.Send(ses.welcome); err != nil {
		return err
	}
	for {
		if err := ses.sendPending(); err != nil {
			return err
		}
		select {
		case <-sub.C:
		case <-ses.wake:
		case cmd := <-ses.commands:
			if err := ses.sendCommand(cmd); err != nil {
				return err
			}
		case <-heartbeat.C:
			if err := ses.sendHeartbeat(); err != nil {
				return err
			}
		case <-ses.stream.Context().Done():
			return ses.stream.Context().Err()
		}
	}
}

// sendPending sends until neither part has anything to send, a piece of each in turn, so that a long snapshot of one part does not hold
// up the other.
func (ses *session) sendPending() error {
	if ses.foreign != "" {
		return nil
	}
	for more := true; more; {
		more = false
		for i := range ses.flows {
			piece, err := ses.nextPiece(i)
			if err != nil {
				return err
			}
			if piece == nil {
				continue
			}
			more = true
			if err := ses.stream.SendMsg(piece); err != nil {
				return err
			}
			ses.pieceSent(i)
		}
		if err := ses.sendUrgent(); err != nil {
			return err
		}
	}
	return nil
}

// nextPiece returns the next message of a part, or nil. It asks the publisher for an update when none is under way.
func (ses *session) nextPiece(i int) (frame, error) {
	if err := ses.beginUpdate(i); err != nil {
		return nil, err
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	f := &ses.flows[i]
	if !f.inFlight || f.sent == f.pieces() {
		return nil, nil
	}
	piece := f.piece(f.sent)
	f.sent, f.sentAt = f.sent+1, time.Now()
	ses.srv.log.Debug("sync message to send", "dataplane", ses.hello.GetId(), "part", parts[i].String(),
		"revision", f.update.To.Revision, "snapshot", f.update.Kind == publish.Snapshot, "piece", f.sent, "of", f.pieces())
	return piece, nil
}

// beginUpdate starts what the data plane lacks of a part, unless an update is under way. The lock is not held while the publisher
// works, which can mean reading every key; only the sender begins updates, so at worst the receiver changed have meanwhile.
func (ses *session) beginUpdate(i int) error {
	f := &ses.flows[i]
	for {
		ses.mu.Lock()
		busy, have := f.inFlight, f.have
		ses.mu.Unlock()
		if busy {
			return nil
		}
		update, err := ses.srv.publisher.Next(parts[i], have)
		if err != nil {
			return err
		}
		if update.Drift {
			ses.srv.fleet.Drifted(ses.hello.GetId(), parts[i])
		}
		ses.mu.Lock()
		current := f.have == have && !f.inFlight
		if current && update.Kind != publish.UpToDate {
			f.update, f.inFlight, f.sent = update, true, 0
		}
		ses.mu.Unlock()
		if current {
			return nil
		}
	}
}

// pieceSent restarts the time for the answer: a long snapshot may take longer than that to send.
func (ses *session) pieceSent(i int) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.flows[i].sentAt = time.Now()
}

// sendUrgent sends one command if one waits.
func (ses *session) sendUrgent() error {
	select {
	case cmd := <-ses.commands:
		return ses.sendCommand(cmd)
	default:
		return nil
	}
}

func (ses *session) sendCommand(cmd *gatewayv1.Command) error {
	return ses.stream.Send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Command{Command: cmd}})
}

func (ses *session) sendHeartbeat() error {
	beat := &gatewayv1.ControlPlaneHeartbeat{Parts: partStates(ses.srv.publisher.State()), TimeUs: time.Now().UnixMicro()}
	return ses.stream.Send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Heartbeat{Heartbeat: beat}})
}
