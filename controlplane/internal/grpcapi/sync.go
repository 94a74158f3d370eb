package grpcapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// timings of a sync stream. They are the server's, so that tests can shorten them.
type timings struct {
	hello     time.Duration // from the start of the stream to Hello
	answer    time.Duration // from an update's last byte to Applied or Rejected; also for one message to be accepted
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
	adoptAll  bool
	log       *slog.Logger
	guard     recovery
	timings   timings

	running sync.WaitGroup // goroutines that can outlive their handler for a moment: gRPC frees them when it has returned
}

// Sync implements gatewayv1.SyncServiceServer.
func (s *syncServer) Sync(stream gatewayv1.SyncService_SyncServer) error {
	hello, err := s.receiveHello(stream)
	if err != nil {
		return err
	}
	ses := newSession(s, stream, hello)
	ses.departs = len(metadata.ValueFromIncomingContext(stream.Context(), gatewayv1.DepartingHeader)) > 0
	if err := ses.join(); err != nil {
		return err
	}
	defer s.fleet.Leave(ses.member, ses)
	s.log.Info("data plane connected", "dataplane", hello.GetId(), "instance", hello.GetInstance(), "address", hello.GetAddress(),
		"version", hello.GetVersion(), "departing", ses.departs)
	if ses.foreign != "" {
		s.log.Error("foreign data plane, it keeps what it serves until it is adopted", "dataplane", hello.GetId(), "reason", ses.foreign)
	}
	if ses.foreign != "" && s.adoptAll && !ses.departs {
		s.guard.start(&s.running, "adopt", func() error { return s.adoptOnArrival(stream.Context(), ses.member) })
	}
	err = ses.run()
	s.log.Info("data plane disconnected", "dataplane", hello.GetId(), "instance", hello.GetInstance(), "reason", reasonOf(err))
	return err
}

// receiveHello waits for the first message. When it gives up, the end of the handler ends the receive too.
func (s *syncServer) receiveHello(stream gatewayv1.SyncService_SyncServer) (*gatewayv1.Hello, error) {
	var first *gatewayv1.SyncRequest
	received := s.guard.start(&s.running, "receive", func() (err error) {
		first, err = stream.Recv()
		return err
	})
	deadline := time.NewTimer(s.timings.hello)
	defer deadline.Stop()
	select {
	case err := <-received:
		if err != nil {
			return nil, err
		}
	case <-deadline.C:
		return nil, status.Errorf(codes.DeadlineExceeded, "sync: got no Hello within %v", s.timings.hello)
	}
	hello := first.GetHello()
	if hello == nil {
		return nil, invalid("sync: got %s first (want Hello)", typeOf(first))
	}
	return hello, checkHello(hello)
}

// adoptOnArrival adopts m and those that come along. One of them may go meanwhile: then it is done without it.
func (s *syncServer) adoptOnArrival(ctx context.Context, m *fleet.Member) error {
	_, err := s.adopter.adopt(ctx, adoptOne(m), false)
	for errors.Is(err, fleet.ErrDisconnected) && ctx.Err() == nil {
		_, err = s.adopter.adopt(ctx, adoptOne(m), false)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("cannot adopt data plane", "dataplane", m.ID(), "err", err)
	}
	return err
}

// join classifies the data plane, registers it, and makes its welcome.
func (ses *session) join() error {
	head := ses.srv.publisher.State()
	ses.epoch, ses.foreign = head.Epoch, foreignness(ses.hello, head)
	register := ses.srv.fleet.Join
	if ses.departs {
		register = ses.srv.fleet.Depart
	}
	member, err := register(fleet.Arrival{Hello: ses.hello, Epoch: head.Epoch, Foreign: ses.foreign, Session: ses})
	if _, ok := errors.AsType[*fleet.DuplicateError](err); ok {
		return status.Error(codes.AlreadyExists, err.Error())
	} else if errors.Is(err, fleet.ErrUnknown) {
		return status.Error(codes.NotFound, err.Error())
	} else if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	ses.member = member
	ses.start(head)
	welcome := &gatewayv1.Welcome{Epoch: head.Epoch, Parts: partStates(head), Foreign: ses.foreign}
	for _, a := range head.Lineage {
		welcome.Lineage = append(welcome.Lineage, &gatewayv1.Ancestor{Epoch: a.Epoch, Revision: a.Revision})
	}
	ses.welcome = welcome
	return nil
}

// run sends and receives until one of them ends, something cuts the stream, or the data plane falls silent.
func (ses *session) run() error {
	sent := ses.srv.guard.start(&ses.srv.running, "send", ses.sendAll)
	received := ses.srv.guard.start(&ses.srv.running, "receive", ses.receiveAll)
	tick := time.NewTicker(ses.srv.timings.heartbeat / 5)
	defer tick.Stop()
	for {
		select {
		case err := <-sent:
			return err
		case err := <-received:
			return err
		case reason := <-ses.cut:
			return status.Error(codes.Aborted, reason)
		case <-tick.C:
			if reason := ses.overdue(); reason != "" {
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
