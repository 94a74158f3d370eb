package configs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"apigateway/proto/mtls/mtlstest"
)

// grpcService is a service for gRPC's test services, with settings as in "a: 1, b: 2".
func grpcService(name, route, chain, settings string, urls ...string) string {
	return fmt.Sprintf("  - {name: %s, route_pattern: %q, urls: [%s], middleware: [%s], %s}\n", name, route, strings.Join(urls, ", "), chain, settings)
}

const testService = "/grpc.testing.TestService"

// callWith returns a client of a data plane that calls with an API key, or none.
func callWith(t *testing.T, p *plane, key string) *grpc.ClientConn {
	t.Helper()
	with := func(ctx context.Context) context.Context {
		if key == "" {
			return ctx
		}
		return metadata.AppendToOutgoingContext(ctx, "x-api-key", key)
	}
	conn, err := grpc.NewClient("passthrough:"+p.public, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return call(with(ctx), method, in, out, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, call grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return call(with(ctx), d, cc, method, opts...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// The cases of gRPC's interoperability tests that need no credentials (doc/interop-test-descriptions.md), through the whole system to
// backends in cleartext and over TLS.
func TestGRPCInterop(t *testing.T) {
	t.Parallel()
	ca, files := mtlstest.New(t, "backends"), mtlstest.Files(t)
	ca.Write(t, files, time.Hour)
	secure, err := credentials.NewServerTLSFromFile(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		scheme, settings string
		backend          *callee
	}{
		{"h2c", unlimited, newCallee(t, nil)},
		{"h2", unlimited + fmt.Sprintf(", upstream_tls: {ca_file: %q}", files.CA), newCallee(t, secure)},
	} {
		t.Run(tt.scheme, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			f.write(configuration(
				grpcService("tests", testService, guarded, tt.settings, tt.scheme+"://"+tt.backend.address),
				grpcService("none", "/grpc.testing.UnimplementedService", guarded, tt.settings, tt.scheme+"://"+tt.backend.address)))
			f.startControl()
			p := f.startData("a")
			f.awaitServing()
			conn := callWith(t, p, fileKey)
			for name, run := range interop {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					if err := run(ctx, conn); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// interop are the cases.
var interop = map[string]func(ctx context.Context, conn *grpc.ClientConn) error{
	"empty_unary": func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
		return err
	},
	"large_unary": func(ctx context.Context, conn *grpc.ClientConn) error {
		out, err := testgrpc.NewTestServiceClient(conn).UnaryCall(ctx, &testgrpc.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)})
		return errors.Join(err, equal(314159, len(out.GetPayload().GetBody())))
	},
	"client_streaming":            clientStreaming,
	"server_streaming":            serverStreaming,
	"ping_pong":                   pingPong,
	"half_duplex":                 halfDuplex,
	"empty_stream":                emptyStream,
	"cancel_after_begin":          cancelAfterBegin,
	"cancel_after_first_response": cancelAfterFirstResponse,
	"timeout_on_sleeping_server":  timeoutOnSleepingServer,
	"custom_metadata":             customMetadata,
	"status_code_and_message": func(ctx context.Context, conn *grpc.ClientConn) error {
		return errors.Join(statusOf(ctx, conn, codes.Unknown, "test status message"), statusOfStream(ctx, conn, codes.Unknown, "test status message"))
	},
	"special_status_message": func(ctx context.Context, conn *grpc.ClientConn) error {
		return statusOf(ctx, conn, codes.Unknown, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")
	},
	"unimplemented_method": func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := testgrpc.NewTestServiceClient(conn).UnimplementedCall(ctx, &testgrpc.Empty{})
		return equal(codes.Unimplemented, status.Code(err))
	},
	"unimplemented_service": func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := testgrpc.NewUnimplementedServiceClient(conn).UnimplementedCall(ctx, &testgrpc.Empty{})
		return equal(codes.Unimplemented, status.Code(err))
	},
}

var (
	sent     = []int32{27182, 8, 1828, 45904}
	received = []int32{31415, 9, 2653, 58979}
)

func equal[T any](want, got T) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	return nil
}

func clientStreaming(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := testgrpc.NewTestServiceClient(conn).StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	for _, size := range sent {
		if err := call.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(size)}); err != nil {
			return err
		}
	}
	out, err := call.CloseAndRecv()
	return errors.Join(err, equal(74922, out.GetAggregatedPayloadSize()))
}

func answers(sizes ...int32) []*testgrpc.ResponseParameters {
	parameters := make([]*testgrpc.ResponseParameters, len(sizes))
	for i, size := range sizes {
		parameters[i] = &testgrpc.ResponseParameters{Size: size}
	}
	return parameters
}

// receive reads answers until the end of a stream.
func receive(recv func() (*testgrpc.StreamingOutputCallResponse, error)) (sizes []int32, err error) {
	for {
		m, err := recv()
		if errors.Is(err, io.EOF) {
			return sizes, nil
		}
		if err != nil {
			return sizes, err
		}
		sizes = append(sizes, int32(len(m.GetPayload().GetBody())))
	}
}

func serverStreaming(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := testgrpc.NewTestServiceClient(conn).StreamingOutputCall(ctx, &testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(received...)})
	if err != nil {
		return err
	}
	sizes, err := receive(call.Recv)
	return errors.Join(err, equal(received, sizes))
}

func pingPong(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i := range sent { // each answer is here before the next message goes
		if err := call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(received[i]), Payload: payload(sent[i])}); err != nil {
			return err
		}
		m, err := call.Recv()
		if err := errors.Join(err, equal(int(received[i]), len(m.GetPayload().GetBody()))); err != nil {
			return err
		}
	}
	err = call.CloseSend()
	sizes, end := receive(call.Recv)
	return errors.Join(err, end, equal(0, len(sizes)))
}

func halfDuplex(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := testgrpc.NewTestServiceClient(conn).HalfDuplexCall(ctx)
	if err != nil {
		return err
	}
	for _, size := range received {
		if err := call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(size)}); err != nil {
			return err
		}
	}
	err = call.CloseSend()
	sizes, end := receive(call.Recv)
	return errors.Join(err, end, equal(received, sizes))
}

func emptyStream(ctx context.Context, conn *grpc.ClientConn) error {
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	err = call.CloseSend()
	sizes, end := receive(call.Recv)
	return errors.Join(err, end, equal(0, len(sizes)))
}

func cancelAfterBegin(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	call, err := testgrpc.NewTestServiceClient(conn).StreamingInputCall(ctx)
	cancel()
	if err != nil {
		return err
	}
	_, err = call.CloseAndRecv()
	return equal(codes.Canceled, status.Code(err))
}

func cancelAfterFirstResponse(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(31415), Payload: payload(27182)}); err != nil {
		return err
	}
	if _, err := call.Recv(); err != nil {
		return err
	}
	cancel()
	_, err = call.Recv()
	return equal(codes.Canceled, status.Code(err))
}

func timeoutOnSleepingServer(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err == nil {
		_ = call.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(27182)}) // it may be over already
		_, err = call.Recv()
	}
	return equal(codes.DeadlineExceeded, status.Code(err))
}

func customMetadata(ctx context.Context, conn *grpc.ClientConn) error {
	const head, trailer = "test_initial_metadata_value", "\x0a\x0b\x0a\x0b\x0a\x0b"
	ctx = metadata.AppendToOutgoingContext(ctx, echoHead, head, echoTrailer, trailer)
	client := testgrpc.NewTestServiceClient(conn)
	var gotHead, gotTrailer metadata.MD
	_, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{ResponseSize: 1, Payload: payload(1)}, grpc.Header(&gotHead), grpc.Trailer(&gotTrailer))
	if err := errors.Join(err, equal([]string{head}, gotHead[echoHead]), equal([]string{trailer}, gotTrailer[echoTrailer])); err != nil {
		return err
	}
	call, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(1)}), call.CloseSend()); err != nil {
		return err
	}
	gotHead, err = call.Header()
	_, end := receive(call.Recv)
	return errors.Join(err, end, equal([]string{head}, gotHead[echoHead]), equal([]string{trailer}, call.Trailer()[echoTrailer]))
}

// statusOf wants a status back as it was asked for.
func statusOf(ctx context.Context, conn *grpc.ClientConn, code codes.Code, message string) error {
	_, err := testgrpc.NewTestServiceClient(conn).UnaryCall(ctx, &testgrpc.SimpleRequest{
		ResponseStatus: &testgrpc.EchoStatus{Code: int32(code), Message: message},
	})
	return errors.Join(equal(code, status.Code(err)), equal(message, status.Convert(err).Message()))
}

func statusOfStream(ctx context.Context, conn *grpc.ClientConn, code codes.Code, message string) error {
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	err = call.Send(&testgrpc.StreamingOutputCallRequest{ResponseStatus: &testgrpc.EchoStatus{Code: int32(code), Message: message}})
	_, end := call.Recv() // the client has not said that it sends no more
	return errors.Join(err, equal(code, status.Code(end)), equal(message, status.Convert(end).Message()))
}
