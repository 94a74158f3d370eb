// Package grpcapi serves the gRPC services of proto/gateway/v1: it converts messages, checks what strangers send, and calls
// publish, keystore and fleet. The sync stream's state machine is in session*.go; everything else is one file a service.
package grpcapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Deps are what the services call. All are needed, but for AdoptAll.
type Deps struct {
	Publisher *publish.Publisher
	Keys      *keystore.Keystore
	Fleet     *fleet.Fleet
	Config    ConfigFile
	Log       *slog.Logger
	AdoptAll  bool // take over every foreign data plane as it arrives
}

// maxReceive bounds a message from outside: the largest of a sync stream and some framing.
const maxReceive = gatewayv1.MaxMessage + 64<<10

// Server serves every service.
type Server struct {
	grpc *grpc.Server
	sync *syncServer
}

// New returns a Server; Serve it.
func New(d Deps, opts ...grpc.ServerOption) *Server { return newServer(d, defaultTimings, opts...) }

func newServer(d Deps, t timings, opts ...grpc.ServerOption) *Server {
	guard := recovery{d.Log}
	opts = append(opts,
		grpc.ForceServerCodecV2(newSharedCodec()),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(guard.unary), grpc.StreamInterceptor(guard.stream),
		grpc.WaitForHandlers(true),
	)
	srv := grpc.NewServer(opts...)
	adopter := newAdopter(d)
	streams := &syncServer{
		publisher: d.Publisher, fleet: d.Fleet, keys: d.Keys, adopter: adopter, adoptAll: d.AdoptAll, log: d.Log, guard: guard, timings: t,
	}
	gatewayv1.RegisterSyncServiceServer(srv, streams)
	gatewayv1.RegisterKeyServiceServer(srv, &keyServer{keys: d.Keys})
	gatewayv1.RegisterRolloutServiceServer(srv, &rolloutServer{fleet: d.Fleet, commits: d.Publisher})
	gatewayv1.RegisterBreakerServiceServer(srv, &breakerServer{fleet: d.Fleet, services: d.Config})
	gatewayv1.RegisterDataPlaneServiceServer(srv, &dataPlaneServer{publisher: d.Publisher, fleet: d.Fleet, adopter: adopter})
	gatewayv1.RegisterConfigServiceServer(srv, &configServer{file: d.Config})
	return &Server{grpc: srv, sync: streams}
}

// Serve answers calls that arrive at l until Stop, and returns nil then.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Stop ends every call and waits until nothing of them runs any more: what the services call may be closed then.
func (s *Server) Stop() {
	s.grpc.Stop()
	s.sync.running.Wait()
}

// recovery turns a panic into the failure of one call.
type recovery struct{ log *slog.Logger }

func (g recovery) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer g.recover(info.FullMethod, &err)
	resp, err = next(ctx, req)
	return resp, statusOf(err)
}

func (g recovery) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer g.recover(info.FullMethod, &err)
	return statusOf(next(srv, stream))
}

// start runs a part of a call in a goroutine of its own and counts it in running. The channel gets its error.
func (g recovery) start(running *sync.WaitGroup, part string, run func() error) <-chan error {
	ended := make(chan error, 1)
	running.Go(func() {
		ended <- func() (err error) {
			defer g.recover(part, &err)
			return run()
		}()
	})
	return ended
}

func (g recovery) recover(method string, err *error) {
	if p := recover(); p != nil {
		g.log.Error("panic in a call, the call failed", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error, see the control plane's log")
	}
}
