package grpcapi

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/fleet"
	gatewayv1 "apigateway/proto/gateway/v1"
)

type breakerServer struct {
	gatewayv1.UnimplementedBreakerServiceServer
	fleet    *fleet.Fleet
	services Services
}

// Services tells whether the configuration in force has a service.
type Services interface {
	HasService(name string) bool
}

func (s *breakerServer) known(service string) error {
	if service != "" && !s.services.HasService(service) {
		return status.Errorf(codes.NotFound, "unknown service %q", service)
	}
	return nil
}

// ListBreakers implements gatewayv1.BreakerServiceServer.
func (s *breakerServer) ListBreakers(req *gatewayv1.ListBreakersRequest, stream grpc.ServerStreamingServer[gatewayv1.ListBreakersResponse]) error {
	if err := s.known(req.GetService()); err != nil {
		return err
	}
	changed, end := s.fleet.Subscribe()
	defer end()
	sent := make(map[breakerKey]*gatewayv1.BreakerState)
	if err := s.sendBreakers(req, stream, sent, true); err != nil || !req.GetWatch() {
		return err
	}
	for nextChange(stream.Context(), s.fleet, changed) {
		if err := s.sendBreakers(req, stream, sent, false); err != nil {
			return err
		}
	}
	return nil
}

type breakerKey struct{ dataplane, service string }

// sendBreakers sends, in pages, each breaker that is not in sent as it is now, and those that are gone without a state.
func (s *breakerServer) sendBreakers(req *gatewayv1.ListBreakersRequest, stream grpc.ServerStreamingServer[gatewayv1.ListBreakersResponse],
	sent map[breakerKey]*gatewayv1.BreakerState, first bool,
) error {
	page := pager[*gatewayv1.DataPlaneBreaker]{send: func(rows []*gatewayv1.DataPlaneBreaker) error {
		return stream.Send(&gatewayv1.ListBreakersResponse{Breakers: rows})
	}}
	gone := maps.Clone(sent)
	for _, m := range s.fleet.Members() {
		for _, b := range m.Breakers(req.GetService()) {
			key := breakerKey{m.ID(), b.GetService()}
			before := sent[key]
			delete(gone, key)
			sent[key] = b
			if before == b || before != nil && proto.Equal(before, b) {
				continue
			}
			if err := page.add(&gatewayv1.DataPlaneBreaker{Dataplane: m.ID(), State: b}); err != nil {
				return err
			}
		}
	}
	for key := range gone {
		delete(sent, key)
		b := &gatewayv1.DataPlaneBreaker{Dataplane: key.dataplane, State: &gatewayv1.BreakerState{Service: key.service}}
		if err := page.add(b); err != nil {
			return err
		}
	}
	if err := page.flush(); err != nil || !first {
		return err
	}
	return stream.Send(&gatewayv1.ListBreakersResponse{Synced: true})
}

// ResetBreaker implements gatewayv1.BreakerServiceServer.
func (s *breakerServer) ResetBreaker(ctx context.Context, req *gatewayv1.ResetBreakerRequest) (*gatewayv1.ResetBreakerResponse, error) {
	if req.GetService() == "" {
		return nil, invalid("breaker reset: got no service (want a name)")
	}
	if err := s.known(req.GetService()); err != nil {
		return nil, err
	}
	members := s.fleet.Members()
	if req.GetDataplane() != "" {
		m := s.fleet.Member(req.GetDataplane())
		if m == nil {
			return nil, status.Errorf(codes.NotFound, "unknown data plane %q", req.GetDataplane())
		}
		members = []*fleet.Member{m}
	}
	ctx, cancel := context.WithTimeout(ctx, wait(req.GetTimeoutMs()))
	defer cancel()
	return &gatewayv1.ResetBreakerResponse{Rollout: resetAll(ctx, members, req.GetService())}, nil
}

// resetAll asks all members at the same time and sorts their answers into a rollout in the order of members.
func resetAll(ctx context.Context, members []*fleet.Member, service string) *gatewayv1.Rollout {
	start := time.Now()
	errs, took := make([]error, len(members)), make([]time.Duration, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			cmd := &gatewayv1.Command{Action: &gatewayv1.Command_ResetBreaker{ResetBreaker: &gatewayv1.ResetBreakerCommand{Service: service}}}
			errs[i] = m.Do(ctx, cmd, nil)
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	out := &gatewayv1.Rollout{}
	for i, m := range members {
		switch err := errs[i]; {
		case err == nil:
			out.Applied = append(out.Applied, &gatewayv1.AppliedBy{Dataplane: m.ID(), AfterMs: float64(took[i].Microseconds()) / 1e3})
		case errors.Is(err, fleet.ErrDisconnected):
			if away := m.Away(); away != nil {
				out.Disconnected = append(out.Disconnected, away)
			}
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			out.Lagging = append(out.Lagging, &gatewayv1.LaggingBy{Dataplane: m.ID()})
		default:
			out.Rejected = append(out.Rejected, &gatewayv1.RejectedBy{Dataplane: m.ID(), Reason: err.Error()})
		}
	}
	return out
}
