package grpcapi

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// adoptTimeout bounds the comparison of keys that precedes an adoption.
const adoptTimeout = time.Minute

type dataPlaneServer struct {
	gatewayv1.UnimplementedDataPlaneServiceServer
	publisher *publish.Publisher
	fleet     *fleet.Fleet
	adopter   *adopter
}

// ListDataPlanes implements gatewayv1.DataPlaneServiceServer.
func (s *dataPlaneServer) ListDataPlanes(_ *gatewayv1.ListDataPlanesRequest, stream grpc.ServerStreamingServer[gatewayv1.ListDataPlanesResponse]) error {
	page := pager[*gatewayv1.DataPlane]{send: func(rows []*gatewayv1.DataPlane) error {
		return stream.Send(&gatewayv1.ListDataPlanesResponse{Dataplanes: rows})
	}}
	head := s.publisher.State()
	for _, m := range s.fleet.Members() {
		if err := page.add(m.Describe(head)); err != nil {
			return err
		}
	}
	return page.flush()
}

// AdoptDataPlanes implements gatewayv1.DataPlaneServiceServer.
func (s *dataPlaneServer) AdoptDataPlanes(req *gatewayv1.AdoptDataPlanesRequest, stream grpc.ServerStreamingServer[gatewayv1.AdoptDataPlanesResponse]) error {
	members, err := s.foreign(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), adoptTimeout)
	defer cancel()
	done, err := s.adopter.adopt(ctx, members, req.GetDryRun())
	if err != nil {
		return err
	}
	page := pager[*gatewayv1.KeyChange]{send: func(rows []*gatewayv1.KeyChange) error {
		return stream.Send(&gatewayv1.AdoptDataPlanesResponse{Changes: rows})
	}}
	for _, row := range done.rows {
		if err := page.add(row); err != nil {
			return err
		}
	}
	if err := page.flush(); err != nil {
		return err
	}
	return stream.Send(&gatewayv1.AdoptDataPlanesResponse{Epoch: done.epoch, Adopted: done.ids})
}

// foreign returns the members that a request names; each must be connected and foreign.
func (s *dataPlaneServer) foreign(req *gatewayv1.AdoptDataPlanesRequest) ([]*fleet.Member, error) {
	if req.GetAll() == (len(req.GetIds()) > 0) {
		return nil, invalid("adopt: got %d ids and all=%v (want ids or all)", len(req.GetIds()), req.GetAll())
	}
	if req.GetAll() {
		var members []*fleet.Member
		for _, m := range s.fleet.Members() {
			if reason, _ := m.Foreign(); reason != "" {
				members = append(members, m)
			}
		}
		return members, nil
	}
	members := make([]*fleet.Member, 0, len(req.GetIds()))
	for _, id := range req.GetIds() {
		m := s.fleet.Member(id)
		if m == nil {
			return nil, status.Errorf(codes.NotFound, "unknown data plane %q", id)
		}
		if reason, _ := m.Foreign(); reason == "" {
			return nil, status.Errorf(codes.FailedPrecondition, "data plane %q is not a connected foreign one", id)
		}
		members = append(members, m)
	}
	return members, nil
}

// ForgetDataPlane implements gatewayv1.DataPlaneServiceServer.
func (s *dataPlaneServer) ForgetDataPlane(ctx context.Context, req *gatewayv1.ForgetDataPlaneRequest) (*gatewayv1.ForgetDataPlaneResponse, error) {
	return &gatewayv1.ForgetDataPlaneResponse{}, s.fleet.Forget(ctx, req.GetId())
}
