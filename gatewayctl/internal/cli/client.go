package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// client is a connection to the control plane.
type client struct {
	conn    *grpc.ClientConn
	server  string
	timeout time.Duration
	patient bool // pages after the first may take for ever
	dialed  dialed

	keys       gatewayv1.KeyServiceClient
	rollouts   gatewayv1.RolloutServiceClient
	breakers   gatewayv1.BreakerServiceClient
	dataPlanes gatewayv1.DataPlaneServiceClient
	config     gatewayv1.ConfigServiceClient
}

// dialed remembers how connecting went. gRPC only tells it inside a longer text.
type dialed struct {
	mu  sync.Mutex
	ok  bool
	err error
	tls error // of the newest handshake, or of what the server said right after it
}

func (d *dialed) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ok, d.err = d.ok || err == nil, err
	return conn, err
}

// reached reports whether the server was ever connected to, else the newest reason why not (nil: it never answered).
func (d *dialed) reached() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ok, d.err
}

// connect prepares a connection; the first request opens it. The caller must close it.
func (a *app) connect() (*client, error) {
	if err := a.checkServer(); err != nil {
		return nil, err
	}
	c := &client{server: a.server, timeout: a.timeout}
	creds, err := a.credentials(&c.dialed)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+a.server,
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(c.dialed.dial),
		grpc.WithUnaryInterceptor(logUnary(a.log)),
		grpc.WithStreamInterceptor(logStream(a.log)))
	if err != nil {
		return nil, usagef("--server: %w", err)
	}
	c.conn = conn
	c.keys = gatewayv1.NewKeyServiceClient(conn)
	c.rollouts = gatewayv1.NewRolloutServiceClient(conn)
	c.breakers = gatewayv1.NewBreakerServiceClient(conn)
	c.dataPlanes = gatewayv1.NewDataPlaneServiceClient(conn)
	c.config = gatewayv1.NewConfigServiceClient(conn)
	return c, nil
}

func (c *client) close() { _ = c.conn.Close() } // only fails when called twice

// unary is a method of a generated client.
type unary[Req, Resp any] func(context.Context, *Req, ...grpc.CallOption) (*Resp, error)

// call sends one request and waits for its answer, c.timeout at most.
func call[Req, Resp any](ctx context.Context, c *client, method unary[Req, Resp], req *Req) (*Resp, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := method(ctx, req)
	return resp, c.explain(err)
}

// stream is a method of a generated client that answers in pages.
type stream[Req, Page any] func(context.Context, *Req, ...grpc.CallOption) (grpc.ServerStreamingClient[Page], error)

// pages sends one request and yields each page of the answer. Each may take c.timeout; with c.patient only the first.
// The last thing that it yields may be an error.
func pages[Req, Page any](ctx context.Context, c *client, method stream[Req, Page], req *Req) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		ctx, watchdog, end := c.bounded(ctx)
		defer end()
		s, err := method(ctx, req)
		for err == nil {
			var page *Page
			if page, err = s.Recv(); err != nil {
				break
			}
			watchdog.Stop()
			if !yield(page, nil) {
				return
			}
			if !c.patient {
				watchdog.Reset(c.timeout)
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		yield(nil, c.explain(overdue(ctx, err)))
	}
}

// bounded returns a context that ends when watchdog, which runs for c.timeout from now, is neither stopped nor reset. Call end.
func (c *client) bounded(ctx context.Context) (_ context.Context, watchdog *time.Timer, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	watchdog = time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	return ctx, watchdog, func() {
		watchdog.Stop()
		cancel(nil)
	}
}

// overdue returns err, or that time was up if that is what ended the bounded ctx: gRPC takes it for a cancellation.
func overdue(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return status.FromContextError(context.DeadlineExceeded).Err()
	}
	return err
}

// rpcError is what a person is told about a failed request; the code stays for those who decide by it.
type rpcError struct {
	code codes.Code
	text string
}

func (e *rpcError) Error() string { return e.text }

// explain turns a gRPC status into a sentence. Nil stays nil.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	out := &rpcError{code: s.Code(), text: s.Message()}
	reached, dialErr := c.dialed.reached()
	tlsErr := c.dialed.tlsProblem()
	switch {
	case s.Code() == codes.Unavailable && tlsErr != nil:
		out.text = fmt.Sprintf("control plane %s: %s", c.server, tlsReason(tlsErr))
	case s.Code() == codes.Canceled:
		out.text = "interrupted"
	case !reached && (s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded):
		out.text = fmt.Sprintf("control plane %s: %s; is it running there? (--server or %s changes the address)",
			c.server, dialProblem(dialErr, c.timeout), serverVariable)
	case s.Code() == codes.DeadlineExceeded:
		out.text = fmt.Sprintf("control plane %s: no answer within %v", c.server, c.timeout)
	case s.Code() == codes.Unimplemented:
		out.text = fmt.Sprintf("control plane %s: does not know this request (an older version?)", c.server)
	case s.Code() == codes.Unavailable && dialErr == nil && strings.Contains(s.Message(), "error reading server preface"):
		out.text = fmt.Sprintf("control plane %s: no gRPC there; does it want TLS (--tls-cert)?", c.server)
	case s.Code() == codes.Unavailable && dialErr != nil, s.Code() == codes.Unavailable && lost(s.Message()):
		out.text = fmt.Sprintf("control plane %s: connection lost", c.server)
	}
	return out
}

// dialProblem is the reason of a failed connect without addresses and operations, which explain names itself.
func dialProblem(err error, timeout time.Duration) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	errno, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), os.IsTimeout(err):
		return fmt.Sprintf("no connection within %v", timeout)
	case isDNS:
		return dns.Err
	case isErrno:
		return errno.Error()
	default:
		return err.Error()
	}
}

// lost reports whether gRPC itself, not the control plane, said that the connection broke.
func lost(message string) bool {
	for _, own := range []string{"connection error", "error reading", "closing transport", "transport is closing", "unexpected EOF"} {
		if strings.HasPrefix(message, own) {
			return true
		}
	}
	return false
}

// uncertain reports whether a change that failed with err may have been made all the same: the control plane was
// reached and did not refuse it.
func (c *client) uncertain(err error) bool {
	e, ok := errors.AsType[*rpcError](err)
	if reached, _ := c.dialed.reached(); !ok || !reached {
		return false
	}
	switch e.code {
	case codes.DeadlineExceeded, codes.Canceled, codes.Unavailable, codes.Unknown, codes.Internal, codes.Aborted, codes.DataLoss:
		return true
	default:
		return false
	}
}

func logUnary(log *slog.Logger) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		start := time.Now()
		err := invoker(ctx, method, req, reply, cc, opts...)
		log.DebugContext(ctx, "request", "method", method, "code", status.Code(err).String(), "took", time.Since(start))
		return err
	}
}

func logStream(log *slog.Logger) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		log.DebugContext(ctx, "stream", "method", method)
		return streamer(ctx, desc, cc, method, opts...)
	}
}
