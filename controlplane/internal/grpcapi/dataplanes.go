package grpcapi

import (
	"context"

	"google.golang.org/grpc"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

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
	pick, err := s.picks(req)
	if err != nil {
		return err
	}
	done, err := s.adopter.adopt(stream.Context(), pick, req.GetDryRun())
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

// picks returns which data planes a request means.
func (s *dataPlaneServer) picks(req *gatewayv1.AdoptDataPlanesRequest) (func(store.State) ([]candidate, error), error) {
	if req.GetAll() == (len(req.GetIds()) > 0) {
		return nil, invalid("adopt: got %d ids and all=%v (want ids or all)", len(req.GetIds()), req.GetAll())
	}
	if req.GetAll() {
		return s.adopter.adoptAll, nil
	}
	return s.adopter.adoptNamed(req.GetIds()), nil
}

// ForgetDataPlane implements gatewayv1.DataPlaneServiceServer.
func (s *dataPlaneServer) ForgetDataPlane(ctx context.Context, req *gatewayv1.ForgetDataPlaneRequest) (*gatewayv1.ForgetDataPlaneResponse, error) {
	if err := s.fleet.Forget(ctx, req.GetId()); err != nil {
		return nil, err
	}
	return &gatewayv1.ForgetDataPlaneResponse{}, nil
}
