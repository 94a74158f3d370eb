package configs

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The metadata that the interoperability tests want to see again, in the head and in the trailers.
const echoHead, echoTrailer = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"

// callee is the server of gRPC's interoperability tests (grpc/grpc: doc/interop-test-descriptions.md).
type callee struct {
	testgrpc.UnimplementedTestServiceServer
	address  string
	canceled chan struct{} // told when a client has left a call
}

// newCallee starts the server, over TLS if there are credentials.
func newCallee(t *testing.T, secure credentials.TransportCredentials) *callee {
	t.Helper()
	if secure == nil {
		secure = insecure.NewCredentials()
	}
	l, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &callee{address: l.Addr().String(), canceled: make(chan struct{}, 100)}
	server := grpc.NewServer(grpc.Creds(secure))
	testgrpc.RegisterTestServiceServer(server, c)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends by Stop
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return c
}

func (c *callee) EmptyCall(context.Context, *testgrpc.Empty) (*testgrpc.Empty, error) {
	return new(testgrpc.Empty), nil
}

func (c *callee) UnaryCall(ctx context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	if err := echoMetadata(ctx, func(md metadata.MD) error { return grpc.SetHeader(ctx, md) }, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }); err != nil {
		return nil, err
	}
	if s := in.GetResponseStatus(); s.GetCode() != 0 {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	return &testgrpc.SimpleResponse{Payload: payload(in.GetResponseSize())}, nil
}

func echoMetadata(ctx context.Context, head func(metadata.MD) error, trailer func(metadata.MD)) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md[echoTrailer]; len(values) > 0 {
		trailer(metadata.MD{echoTrailer: values})
	}
	if values := md[echoHead]; len(values) > 0 {
		return head(metadata.MD{echoHead: values})
	}
	return nil
}

func payload(size int32) *testgrpc.Payload { return &testgrpc.Payload{Body: make([]byte, size)} }

func (c *callee) StreamingInputCall(in testgrpc.TestService_StreamingInputCallServer) error {
	var size int32
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return in.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: size})
		}
		if err != nil {
			c.left(in.Context())
			return err
		}
		size += int32(len(m.GetPayload().GetBody()))
	}
}

func (c *callee) left(ctx context.Context) {
	if ctx.Err() != nil {
		c.canceled <- struct{}{}
	}
}

func (c *callee) StreamingOutputCall(in *testgrpc.StreamingOutputCallRequest, out testgrpc.TestService_StreamingOutputCallServer) error {
	return c.answer(out.Context(), in, out.Send)
}

func (c *callee) answer(ctx context.Context, in *testgrpc.StreamingOutputCallRequest, send func(*testgrpc.StreamingOutputCallResponse) error) error {
	for _, p := range in.GetResponseParameters() {
		select {
		case <-time.After(time.Duration(p.GetIntervalUs()) * time.Microsecond):
		case <-ctx.Done():
			c.left(ctx)
			return ctx.Err()
		}
		if err := send(&testgrpc.StreamingOutputCallResponse{Payload: payload(p.GetSize())}); err != nil {
			return err
		}
	}
	return nil
}

func (c *callee) FullDuplexCall(both testgrpc.TestService_FullDuplexCallServer) error {
	ctx := both.Context()
	if err := echoMetadata(ctx, both.SetHeader, both.SetTrailer); err != nil {
		return err
	}
	for {
		in, err := both.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			c.left(ctx)
			return err
		}
		if s := in.GetResponseStatus(); s.GetCode() != 0 {
			return status.Error(codes.Code(s.GetCode()), s.GetMessage())
		}
		if err := c.answer(ctx, in, both.Send); err != nil {
			return err
		}
	}
}

// HalfDuplexCall answers once the client has sent everything.
func (c *callee) HalfDuplexCall(both testgrpc.TestService_HalfDuplexCallServer) error {
	var all []*testgrpc.StreamingOutputCallRequest
	for {
		in, err := both.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, in)
	}
	for _, in := range all {
		if err := c.answer(both.Context(), in, both.Send); err != nil {
			return err
		}
	}
	return nil
}
