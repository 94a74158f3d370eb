package grpcapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Timings of a sync stream. Variables of the server, so that tests can shorten them.
type timings struct {
	hello     time.Duration // from the start of the stream to Hello
	answer    time.Duration // from an update's last byte to Applied or Rejected
	heartbeat time.Duration // between heartbeats; three missed end the stream
}

var defaultTimings = timings{hello: 10 * time.Second, answer: 30 * time.Second, heartbeat: 5 * time.Second}

// syncServer keeps data planes at the newest state. Each stream has one goroutine that sends, one that receives, and the
// handler that watches both; no stream waits for another.
type syncServer struct {
	gatewayv1.UnimplementedSyncServiceServer
	publisher *publish.Publisher
	fleet     *fleet.Fleet
	keys      *keystore.Keystore
	adopter   *adopter
	adoptAll  bool // take over every foreign data plane as it arrives
	log       *slog.Logger
	guard     recovery
	timings   timings
}

// Sync implements gatewayv1.SyncServiceServer.
func (s *syncServer) Sync(stream gatewayv1.SyncService_SyncServer) error {
	hello, err := s.receiveHello(stream)
	if err != nil {
		return err
	}
	ses := newSession(s, stream, hello)
	if err := ses.join(); err != nil {
		return err
	}
	defer s.fleet.Leave(ses.member, ses)
	s.log.Info("data plane connected", "dataplane", hello.GetId(), "instance", hello.GetInstance(), "address", hello.GetAddress(),
		"version", hello.GetVersion(), "foreign", ses.foreign)
	if ses.foreign != "" && s.adoptAll {
		go s.adoptOnArrival(stream.Context(), ses.member)
	}
	err = ses.run()
	s.log.Info("data plane disconnected", "dataplane", hello.GetId(), "instance", hello.GetInstance(), "reason", reasonOf(err))
	return err
}

// receiveHello waits for the first message. When it gives up, the end of the handler ends the receive too.
func (s *syncServer) receiveHello(stream gatewayv1.SyncService_SyncServer) (*gatewayv1.Hello, error) {
	type first struct {
		msg *gatewayv1.SyncRequest
		err error
	}
	c := make(chan first, 1)
	go func() {
		msg, err := stream.Recv()
		c <- first{msg, err}
	}()
	deadline := time.NewTimer(s.timings.hello)
	defer deadline.Stop()
	select {
	case f := <-c:
		if f.err != nil {
			return nil, f.err
		}
		hello := f.msg.GetHello()
		if hello == nil {
			return nil, invalid("sync: got %T first (want Hello)", f.msg.GetMessage())
		}
		return hello, checkHello(hello)
	case <-deadline.C:
		return nil, status.Errorf(codes.DeadlineExceeded, "sync: got no Hello within %v", s.timings.hello)
	}
}

func (s *syncServer) adoptOnArrival(ctx context.Context, m *fleet.Member) {
	changes, err := s.adopter.adopt(ctx, []*fleet.Member{m}, false)
	if err != nil {
		s.log.Error("cannot adopt data plane", "dataplane", m.ID(), "err", err)
		return
	}
	for _, c := range changes.rows {
		s.log.Warn("adoption changes a key", "dataplane", c.GetDataplane(), "key", c.GetName(), "revived", c.GetRevived(), "dropped", c.GetDropped())
	}
}

// join classifies the data plane, registers it, and welcomes it.
func (ses *session) join() error {
	head := ses.srv.publisher.State()
	ses.foreign = foreignness(ses.hello, head)
	if ses.foreign != "" {
		ses.srv.log.Error("foreign data plane, it keeps what it serves until it is adopted", "dataplane", ses.hello.GetId(), "reason", ses.foreign)
	}
	member, err := ses.srv.fleet.Join(fleet.Arrival{Hello: ses.hello, Foreign: ses.foreign, Session: ses})
	var duplicate *fleet.DuplicateError
	if errors.As(err, &duplicate) {
		return status.Error(codes.AlreadyExists, err.Error())
	} else if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	ses.member = member
	ses.start(head)
	welcome := &gatewayv1.Welcome{Epoch: head.Epoch, Parts: partStates(head), Foreign: ses.foreign, TimeUs: time.Now().UnixMicro()}
	for _, a := range head.Lineage {
		welcome.Lineage = append(welcome.Lineage, &gatewayv1.Ancestor{Epoch: a.Epoch, Revision: a.Revision})
	}
	ses.welcome = &gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Welcome{Welcome: welcome}}
	return nil
}

// run sends and receives until one of them ends, something cuts the stream, or the data plane falls silent.
func (ses *session) run() error {
	ended := make(chan error, 2)
	go func() { ended <- ses.srv.guard.call("send", ses.sendAll) }()
	go func() { ended <- ses.srv.guard.call("receive", ses.receiveAll) }()
	tick := time.NewTicker(ses.srv.timings.heartbeat / 5)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case reason := <-ses.cut:
			return status.Error(codes.Aborted, reason)
		case now := <-tick.C:
			if reason := ses.overdue(now); reason != "" {
				return status.Error(codes.DeadlineExceeded, reason)
			}
		}
	}
}

// reasonOf is the text of how a stream ended.
func reasonOf(err error) string {
	if err == nil {
		return "end of stream"
	}
	return cmp.Or(status.Convert(err).Message(), err.Error())
}

// Limits of a Hello.
const (
	maxID         = 128
	maxText       = 256
	maxMiddleware = 1000
)

func checkHello(h *gatewayv1.Hello) error {
	if err := checkID(h.GetId()); err != nil {
		return invalid("hello: %v", err)
	}
	for name, text := range map[string]string{"instance": h.GetInstance(), "version": h.GetVersion(), "address": h.GetAddress(), "epoch": h.GetEpoch()} {
		if len(text) > maxText {
			return invalid("hello: %s: got %d bytes (want at most %d)", name, len(text), maxText)
		}
	}
	if h.GetInstance() == "" {
		return invalid("hello: got no instance")
	}
	if len(h.GetMiddleware()) > maxMiddleware {
		return invalid("hello: got %d middleware names (want at most %d)", len(h.GetMiddleware()), maxMiddleware)
	}
	return errors.Join(checkParts("parts", h.GetParts()), checkParts("serving", h.GetServing()))
}

func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("id: got %d bytes (want 1 to %d)", len(id), maxID)
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' && c != ':' {
			return fmt.Errorf("id: got %q (want only letters, digits and . _ - :)", id)
		}
	}
	return nil
}

func checkParts(place string, parts []*gatewayv1.PartState) error {
	seen := map[gatewayv1.Part]bool{}
	for _, p := range parts {
		if p.GetPart() != gatewayv1.Part_PART_CONFIG && p.GetPart() != gatewayv1.Part_PART_KEYS || seen[p.GetPart()] {
			return invalid("hello: %s: got part %v (want config and keys, each at most once)", place, p.GetPart())
		}
		seen[p.GetPart()] = true
		if _, err := gatewayv1.ParseDigest(p.GetDigest()); err != nil {
			return invalid("hello: %s: %v", place, err)
		}
	}
	return nil
}
