package grpcapi

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// errNewEpoch ends a stream whose Welcome is no longer true. What is sent under one epoch must not be counted under another.
var errNewEpoch = status.Error(codes.Aborted, "sync: the store began a new epoch, connect again")

// sendAll is the one goroutine that sends on the stream. It reads the publisher's log from the stream's own position, so a slow
// data plane holds up nothing and costs no memory.
func (ses *session) sendAll() error {
	sub := ses.srv.publisher.Subscribe()
	defer sub.Close()
	heartbeat := time.NewTicker(ses.srv.timings.heartbeat)
	defer heartbeat.Stop()
	ses.welcome.TimeUs = time.Now().UnixMicro()
	if err := ses.send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Welcome{Welcome: ses.welcome}}); err != nil {
		return err
	}
	for {
		if err := ses.sendPending(heartbeat.C); err != nil {
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

// send hands a message to the stream. That blocks while the data plane does not read.
func (ses *session) send(message any) error {
	ses.sending.Store(max(1, int64(time.Since(ses.began))))
	defer ses.sending.Store(0)
	return ses.stream.SendMsg(message)
}

// sendPending sends until neither part has anything to send, a piece of each in turn, so that a long snapshot of one part does not hold
// up the other, nor commands and heartbeats.
func (ses *session) sendPending(heartbeat <-chan time.Time) error {
	for more := true; more; {
		if ses.srv.publisher.State().Epoch != ses.epoch {
			return errNewEpoch
		}
		if ses.foreign != "" {
			return nil
		}
		more = false
		for i := range ses.flows {
			sent, err := ses.sendPiece(i)
			if err != nil {
				return err
			}
			more = more || sent
		}
		if err := ses.sendUrgent(heartbeat); err != nil {
			return err
		}
	}
	return nil
}

// sendPiece sends the next message of a part and reports whether there was one.
func (ses *session) sendPiece(i int) (bool, error) {
	if err := ses.beginUpdate(i); err != nil {
		return false, err
	}
	piece := ses.nextPiece(i)
	if piece == nil {
		return false, nil
	}
	if err := ses.send(piece); err != nil {
		return false, err
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.flows[i].sentAt = time.Now() // it may have taken long
	return true, nil
}

// nextPiece takes the next message of the update under way, or nil.
func (ses *session) nextPiece(i int) frame {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	f := &ses.flows[i]
	if !f.inFlight || f.sent == f.pieces() {
		return nil
	}
	piece := f.piece(f.sent)
	f.sent, f.sentAt = f.sent+1, time.Now()
	ses.srv.log.Debug("sync message to send", "dataplane", ses.hello.GetId(), "part", parts[i],
		"revision", f.update.To.Revision, "snapshot", f.update.Kind == publish.Snapshot, "piece", f.sent, "of", f.pieces())
	return piece
}

// beginUpdate starts what the data plane lacks of a part, unless an update is under way. The lock is not held while the publisher
// works, which can mean reading every key; only the sender begins updates, so at worst the receiver changed have meanwhile.
func (ses *session) beginUpdate(i int) error {
	f := &ses.flows[i]
	for {
		ses.mu.Lock()
		busy, have, lacking := f.inFlight, f.have, f.lacking()
		ses.mu.Unlock()
		if busy {
			return nil
		}
		update, err := ses.srv.publisher.Next(parts[i], lacking)
		if err != nil {
			return err
		}
		if ses.srv.publisher.State().Epoch != ses.epoch { // then the update may be of the new one
			return errNewEpoch
		}
		ses.mu.Lock()
		current, claimed := f.have == have, f.claimed
		if current {
			f.claimed = false
			if update.Kind != publish.UpToDate {
				f.begin(update)
			}
		}
		ses.mu.Unlock()
		if current {
			ses.judge(i, claimed, update)
			return nil
		}
	}
}

// judge tells the fleet what an update says about what the data plane has.
func (ses *session) judge(i int, claimed bool, u publish.Update) {
	switch {
	case u.Drift:
		ses.member.Drifted(ses, parts[i])
	case claimed && u.Kind != publish.Snapshot:
		ses.member.Confirmed(ses, parts[i])
	}
}

// sendUrgent sends a heartbeat if one is due, and a command if one waits.
func (ses *session) sendUrgent(heartbeat <-chan time.Time) error {
	select {
	case <-heartbeat:
		if err := ses.sendHeartbeat(); err != nil {
			return err
		}
	default:
	}
	select {
	case cmd := <-ses.commands:
		return ses.sendCommand(cmd)
	default:
		return nil
	}
}

func (ses *session) sendCommand(cmd *gatewayv1.Command) error {
	return ses.send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Command{Command: cmd}})
}

func (ses *session) sendHeartbeat() error {
	beat := &gatewayv1.ControlPlaneHeartbeat{Parts: partStates(ses.srv.publisher.State()), TimeUs: time.Now().UnixMicro()}
	return ses.send(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Heartbeat{Heartbeat: beat}})
}
