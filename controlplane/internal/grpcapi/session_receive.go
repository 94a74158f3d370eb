package grpcapi

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// receiveAll takes in what the data plane says.
func (ses *session) receiveAll() error {
	for {
		msg, err := ses.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		ses.lastSeen.Store(time.Now().UnixNano())
		ses.srv.log.Debug("sync message received", "dataplane", ses.hello.GetId(), "type", fmt.Sprintf("%T", msg.GetMessage()))
		if err := ses.receive(msg); err != nil {
			return err
		}
	}
}

func (ses *session) receive(msg *gatewayv1.SyncRequest) error {
	switch m := msg.GetMessage().(type) {
	case *gatewayv1.SyncRequest_Applied:
		return ses.applied(m.Applied)
	case *gatewayv1.SyncRequest_Rejected:
		return ses.rejected(m.Rejected)
	case *gatewayv1.SyncRequest_Heartbeat:
		return ses.heartbeat(m.Heartbeat)
	case *gatewayv1.SyncRequest_Breakers:
		ses.member.ReportBreakers(m.Breakers)
	case *gatewayv1.SyncRequest_KeyUses:
		ses.srv.keys.NoteUses(usesOf(m.KeyUses.GetUses()))
	case *gatewayv1.SyncRequest_CommandResult:
		ses.member.Result(m.CommandResult)
	case *gatewayv1.SyncRequest_KeyPage:
		ses.member.Page(m.KeyPage)
	default:
		return invalid("sync: got %T (want anything but a second Hello)", m)
	}
	return nil
}

// applied ends the update under way, or repeats what is served already.
func (ses *session) applied(a *gatewayv1.Applied) error {
	digest, err := gatewayv1.ParseDigest(a.GetDigest())
	if err != nil {
		return invalid("applied: %v", err)
	}
	drifted, err := ses.settle("applied", a.GetPart(), a.GetRevision(), &digest)
	if err != nil {
		return err
	}
	if drifted {
		ses.srv.fleet.Drifted(ses.hello.GetId(), a.GetPart())
	} else {
		ses.member.Applied(a, digest)
	}
	ses.wakeSender()
	return nil
}

// rejected ends the update under way: the data plane has taken it in and goes on serving what it served.
func (ses *session) rejected(r *gatewayv1.Rejected) error {
	if _, err := ses.settle("rejected", r.GetPart(), r.GetRevision(), nil); err != nil {
		return err
	}
	ses.srv.log.Error("data plane rejected a change and serves the previous one", "dataplane", ses.hello.GetId(),
		"revision", r.GetRevision(), "entry", r.GetEntry(), "reason", r.GetReason())
	ses.member.Rejected(r)
	ses.wakeSender()
	return nil
}

// settle checks that a report is for the update under way, which it ends, or for what the data plane had taken in before. With a
// digest it tells whether that is the right one; if not, a full snapshot follows.
func (ses *session) settle(what string, part gatewayv1.Part, revision uint64, digest *gatewayv1.Digest) (drifted bool, err error) {
	if part != gatewayv1.Part_PART_CONFIG && part != gatewayv1.Part_PART_KEYS {
		return false, invalid("%s: got part %v (want config or keys)", what, part)
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	f := &ses.flows[flowOf(part)]
	switch {
	case f.inFlight && f.sent == f.pieces() && revision == f.update.To.Revision:
		f.end()
	case revision != f.have.Revision:
		return false, invalid("%s: got revision %d of %v (want %d)", what, revision, part, max(f.have.Revision, f.update.To.Revision))
	}
	if digest == nil || !f.have.Ours || *digest == f.have.Digest {
		return false, nil
	}
	if f.full { // a data plane that cannot take a snapshot in would be sent it for ever
		return false, status.Errorf(codes.DataLoss, "%s: got digest %v after a full snapshot (want %v)", what, digest, f.have.Digest)
	}
	f.have = publish.Have{}
	return true, nil
}

// heartbeat compares what is served with what should be, and the clocks.
func (ses *session) heartbeat(h *gatewayv1.DataPlaneHeartbeat) error {
	if len(h.GetAddress()) > maxText {
		return invalid("heartbeat: address: got %d bytes (want at most %d)", len(h.GetAddress()), maxText)
	}
	ses.member.Heartbeat(h.GetAddress(), ses.pings.offset(h, time.Now()))
	if ses.foreign != "" {
		return nil
	}
	for _, p := range h.GetServing() {
		digest, err := gatewayv1.ParseDigest(p.GetDigest())
		if err != nil {
			return invalid("heartbeat: %v", err)
		}
		if ses.differs(p, digest) {
			ses.srv.fleet.Drifted(ses.hello.GetId(), p.GetPart())
			ses.wakeSender()
		}
	}
	return nil
}

// differs reports whether a data plane serves something else at the revision that it has, and arranges for a full snapshot.
func (ses *session) differs(p *gatewayv1.PartState, digest gatewayv1.Digest) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	f := &ses.flows[flowOf(p.GetPart())]
	if f.inFlight || !f.have.Ours || p.GetRevision() != f.have.Revision || digest == f.have.Digest {
		return false
	}
	f.have = publish.Have{}
	return true
}
