package grpcapi

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
		ses.heard.Store(int64(time.Since(ses.began)))
		ses.srv.log.Debug("sync message received", "dataplane", ses.hello.GetId(), "type", typeOf(msg))
		if err := ses.receive(msg); err != nil {
			return err
		}
	}
}

// typeOf names what a message holds, as Heartbeat.
func typeOf(msg *gatewayv1.SyncRequest) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", msg.GetMessage()), "*gatewayv1.SyncRequest_")
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
		return ses.breakers(m.Breakers)
	case *gatewayv1.SyncRequest_KeyUses:
		ses.srv.keys.NoteUses(usesOf(m.KeyUses.GetUses()))
	case *gatewayv1.SyncRequest_CommandResult:
		m.CommandResult.Error = clean(m.CommandResult.GetError(), maxReason)
		ses.member.Result(ses, m.CommandResult)
	case *gatewayv1.SyncRequest_KeyPage:
		ses.member.Page(ses, m.KeyPage)
	default:
		return invalid("sync: got %s (want anything but a second Hello)", typeOf(msg))
	}
	return nil
}

// applied ends the update under way, or repeats what is served already.
func (ses *session) applied(a *gatewayv1.Applied) error {
	digest, err := gatewayv1.ParseDigest(a.GetDigest())
	if err != nil {
		return invalid("applied: %v", err)
	}
	a.Unusable = cleanUnusable(a.GetUnusable())
	is, err := ses.settle(report{"applied", a.GetPart(), a.GetRevision(), &digest})
	switch is {
	case drifted:
		ses.member.Drifted(ses, a.GetPart())
	case taken:
		ses.member.Applied(ses, a, digest)
	}
	ses.wakeSender()
	return err
}

// rejected ends the update under way: the data plane has taken it in and goes on serving what it served.
func (ses *session) rejected(r *gatewayv1.Rejected) error {
	cleanRejected(r)
	is, err := ses.settle(report{"rejected", r.GetPart(), r.GetRevision(), nil})
	if err != nil || is != taken {
		return err
	}
	ses.srv.log.Error("data plane rejected a change and serves the previous one", "dataplane", ses.hello.GetId(),
		"revision", r.GetRevision(), "entry", r.GetEntry(), "reason", r.GetReason())
	ses.member.Rejected(ses, r)
	ses.wakeSender()
	return nil
}

// report is what an Applied or a Rejected says of a part.
type report struct {
	what     string
	part     gatewayv1.Part
	revision uint64
	digest   *gatewayv1.Digest // of what is served; nil: not said
}

// meaning of a report.
type meaning uint8

const (
	old     meaning = iota // nothing new: it says so again, or of what it had before it followed this epoch
	taken                  // the data plane has taken in the newest that it can have
	drifted                // so it has, with another content: a full snapshot follows
)

// settle tells what a report means, and ends the update that it answers.
func (ses *session) settle(r report) (meaning, error) {
	if !known(r.part) {
		return old, invalid("%s: got part %v (want config or keys)", r.what, r.part)
	}
	if ses.foreign != "" {
		return old, nil
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	i := flowOf(r.part)
	f := &ses.flows[i]
	switch {
	case f.unanswered() && r.revision == f.update.To.Revision:
		ses.endLocked(i)
	case !f.have.Ours && r.same(ses, i):
		if !f.inFlight {
			f.have = ses.atStart[i]
		}
		return taken, nil
	case r.revision > f.have.Revision:
		return old, invalid("%s: got revision %d of %v (want %d)", r.what, r.revision, r.part, max(f.have.Revision, f.update.To.Revision))
	case r.revision < f.have.Revision, !f.have.Ours, f.claimed:
		return old, nil
	}
	if r.digest == nil || *r.digest == f.have.Digest {
		return taken, nil
	}
	return drifted, f.distrust(r.what, *r.digest)
}

// same reports whether a data plane says that it had the content of Welcome already, and takes it over without a transfer.
func (r report) same(ses *session, i int) bool {
	own := ses.atStart[i]
	return r.revision == own.Revision && (r.digest == nil || *r.digest == own.Digest)
}

// endLocked ends the update under way. The configuration's answer may have waited for the keys: its time begins anew.
func (ses *session) endLocked(i int) {
	if i == keysFlow && ses.keysComingLocked() {
		ses.flows[configFlow].sentAt = time.Now()
	}
	ses.flows[i].end()
}

// distrust arranges for a full snapshot. If one was the last that was sent, the data plane cannot take it in: the stream ends, instead
// of sending it for ever.
func (f *flow) distrust(what string, got gatewayv1.Digest) error {
	if f.full {
		return status.Errorf(codes.DataLoss, "%s: got digest %v after a full snapshot (want %v)", what, got, f.have.Digest)
	}
	f.have.Ours, f.floor = false, f.have.Revision
	return nil
}

// heartbeat compares what is served with what should be, and the clocks.
func (ses *session) heartbeat(h *gatewayv1.DataPlaneHeartbeat) error {
	if err := checkText(h.GetAddress()); err != nil {
		return invalid("heartbeat: address: %v", err)
	}
	if err := checkParts("heartbeat: serving", h.GetServing()); err != nil {
		return err
	}
	ses.member.Heartbeat(ses, h.GetAddress(), clockOffset(h, time.Now()))
	if h.GetDrifted() {
		ses.srv.fleet.CountDrift()
		ses.srv.log.Warn("data plane served something else than it was sent, and asks for it anew", "dataplane", ses.hello.GetId())
	}
	if ses.foreign != "" {
		return nil
	}
	for _, p := range h.GetServing() {
		differs, err := ses.differs(p)
		if differs {
			ses.member.Drifted(ses, p.GetPart())
			ses.wakeSender()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// differs reports whether a data plane serves something else at the revision that it has, and arranges for a full snapshot.
func (ses *session) differs(p *gatewayv1.PartState) (bool, error) {
	digest, err := gatewayv1.ParseDigest(p.GetDigest())
	if err != nil {
		return false, invalid("heartbeat: %v", err)
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	f := &ses.flows[flowOf(p.GetPart())]
	if f.inFlight || f.claimed || !f.have.Ours || p.GetRevision() != f.have.Revision || digest == f.have.Digest {
		return false, nil
	}
	return true, f.distrust("heartbeat", digest)
}

// breakers takes breaker states in.
func (ses *session) breakers(r *gatewayv1.BreakerReport) error {
	for _, s := range r.GetStates() {
		if len(s.GetService()) > maxText {
			return invalid("breakers: service: got %d bytes (want at most %d)", len(s.GetService()), maxText)
		}
		s.LastError = clean(s.GetLastError(), maxReason)
		for _, u := range s.GetUrls() {
			u.LastError = clean(u.GetLastError(), maxReason)
		}
	}
	ses.member.ReportBreakers(ses, r)
	return nil
}
