package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time of every test.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// ms is d before (or, negative, after) now, as messages hold it.
func ms(d time.Duration) int64 { return now.Add(-d).UnixMilli() }

// fake is a control plane with scripted answers. A method without an answer is unimplemented. The requests that it got
// are in got.
type fake struct {
	gatewayv1.UnimplementedKeyServiceServer
	gatewayv1.UnimplementedRolloutServiceServer
	gatewayv1.UnimplementedBreakerServiceServer
	gatewayv1.UnimplementedDataPlaneServiceServer
	gatewayv1.UnimplementedConfigServiceServer

	add      func(context.Context, *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error)
	get      func(*gatewayv1.GetKeyRequest) (*gatewayv1.GetKeyResponse, error)
	revoke   func(*gatewayv1.RevokeKeyRequest) (*gatewayv1.RevokeKeyResponse, error)
	rotate   func(*gatewayv1.RotateKeyRequest) (*gatewayv1.RotateKeyResponse, error)
	keys     pagesOf[gatewayv1.ListKeysResponse]
	rollout  pagesOf[gatewayv1.WatchRolloutResponse]
	breakers pagesOf[gatewayv1.ListBreakersResponse]
	reset    func(*gatewayv1.ResetBreakerRequest) (*gatewayv1.ResetBreakerResponse, error)
	planes   pagesOf[gatewayv1.ListDataPlanesResponse]
	adopt    func(*gatewayv1.AdoptDataPlanesRequest) ([]*gatewayv1.AdoptDataPlanesResponse, error)
	forget   func(*gatewayv1.ForgetDataPlaneRequest) error
	status   *gatewayv1.GetConfigStatusResponse
	validate func(file string, data []byte) (*gatewayv1.ValidateConfigResponse, error)

	mu  sync.Mutex
	got []proto.Message
}

// pagesOf are the pages of an answer, then its end: an error, or a wait for the end of the request if hang is set.
type pagesOf[T any] struct {
	pages []*T
	err   error
	hang  bool
	sent  chan<- struct{} // told once all pages are sent
}

func (p pagesOf[T]) send(s grpc.ServerStreamingServer[T]) error {
	for _, page := range p.pages {
		if err := s.Send(page); err != nil {
			return err
		}
	}
	if p.sent != nil {
		p.sent <- struct{}{}
	}
	if p.hang {
		<-s.Context().Done()
	}
	return p.err
}

func (f *fake) note(m proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, proto.Clone(m))
}

// requests returns what the fake was asked so far.
func (f *fake) requests() []proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]proto.Message(nil), f.got...)
}

func (f *fake) AddKey(ctx context.Context, r *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
	f.note(r)
	if f.add == nil {
		return f.UnimplementedKeyServiceServer.AddKey(ctx, r)
	}
	return f.add(ctx, r)
}

func (f *fake) GetKey(ctx context.Context, r *gatewayv1.GetKeyRequest) (*gatewayv1.GetKeyResponse, error) {
	f.note(r)
	if f.get == nil {
		return f.UnimplementedKeyServiceServer.GetKey(ctx, r)
	}
	return f.get(r)
}

func (f *fake) RevokeKey(_ context.Context, r *gatewayv1.RevokeKeyRequest) (*gatewayv1.RevokeKeyResponse, error) {
	f.note(r)
	return f.revoke(r)
}

func (f *fake) RotateKey(_ context.Context, r *gatewayv1.RotateKeyRequest) (*gatewayv1.RotateKeyResponse, error) {
	f.note(r)
	return f.rotate(r)
}

func (f *fake) ListKeys(r *gatewayv1.ListKeysRequest, s grpc.ServerStreamingServer[gatewayv1.ListKeysResponse]) error {
	f.note(r)
	return f.keys.send(s)
}

func (f *fake) WatchRollout(r *gatewayv1.WatchRolloutRequest, s grpc.ServerStreamingServer[gatewayv1.WatchRolloutResponse]) error {
	f.note(r)
	return f.rollout.send(s)
}

func (f *fake) ListBreakers(r *gatewayv1.ListBreakersRequest, s grpc.ServerStreamingServer[gatewayv1.ListBreakersResponse]) error {
	f.note(r)
	return f.breakers.send(s)
}

func (f *fake) ResetBreaker(_ context.Context, r *gatewayv1.ResetBreakerRequest) (*gatewayv1.ResetBreakerResponse, error) {
	f.note(r)
	return f.reset(r)
}

func (f *fake) ListDataPlanes(r *gatewayv1.ListDataPlanesRequest, s grpc.ServerStreamingServer[gatewayv1.ListDataPlanesResponse]) error {
	f.note(r)
	return f.planes.send(s)
}

func (f *fake) AdoptDataPlanes(r *gatewayv1.AdoptDataPlanesRequest, s grpc.ServerStreamingServer[gatewayv1.AdoptDataPlanesResponse]) error {
	f.note(r)
	answer, err := f.adopt(r)
	return pagesOf[gatewayv1.AdoptDataPlanesResponse]{pages: answer, err: err}.send(s)
}

func (f *fake) ForgetDataPlane(_ context.Context, r *gatewayv1.ForgetDataPlaneRequest) (*gatewayv1.ForgetDataPlaneResponse, error) {
	f.note(r)
	return &gatewayv1.ForgetDataPlaneResponse{}, f.forget(r)
}

func (f *fake) GetConfigStatus(_ context.Context, r *gatewayv1.GetConfigStatusRequest) (*gatewayv1.GetConfigStatusResponse, error) {
	f.note(r)
	return f.status, nil
}

func (f *fake) ValidateConfig(s grpc.ClientStreamingServer[gatewayv1.ValidateConfigRequest, gatewayv1.ValidateConfigResponse]) error {
	var file string
	var data []byte
	for {
		r, err := s.Recv()
		if err != nil {
			break
		}
		file += r.GetFile()
		data = append(data, r.GetData()...)
	}
	resp, err := f.validate(file, data)
	if err != nil {
		return err
	}
	return s.SendAndClose(resp)
}

// start serves f on a loopback port until the test ends and returns the address.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	gatewayv1.RegisterKeyServiceServer(s, f)
	gatewayv1.RegisterRolloutServiceServer(s, f)
	gatewayv1.RegisterBreakerServiceServer(s, f)
	gatewayv1.RegisterDataPlaneServiceServer(s, f)
	gatewayv1.RegisterConfigServiceServer(s, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(ln); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("Serve() = %v, want nil", err)
		}
	}()
	t.Cleanup(func() { s.Stop(); <-done })
	return ln.Addr().String()
}

// result is what a run of gatewayctl left behind.
type result struct {
	Code   int
	Stdout string
	Stderr string
}

// gatewayctl runs a command line, split at spaces, against f.
func (f *fake) gatewayctl(t *testing.T, line string) result {
	t.Helper()
	p, stdout, stderr := process(line, f.start(t))
	code := Run(t.Context(), p)
	return result{code, stdout.String(), stderr.String()}
}

// process is a Process that is no terminal and whose stdin is empty.
func process(line, server string) (p Process, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return Process{
		Args: strings.Fields(line), Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr,
		Getenv: func(name string) string {
			if name == serverVariable {
				return server
			}
			return ""
		},
		Now: func() time.Time { return now },
	}, stdout, stderr
}
