package grpcapi

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// panicking is a ConfigFile that fails in the worst way.
type panicking struct{ ConfigFile }

func (panicking) Status() *gatewayv1.GetConfigStatusResponse { panic("oh no") }

func (panicking) HasService(string) bool { panic("oh no") }

func TestPanicEndsOneCall(t *testing.T) {
	w := newWorld(t, options{config: func(c ConfigFile) ConfigFile { return panicking{c} }})
	p := w.joins("a")
	const message = "internal error, see the control plane's log"
	_, err := gatewayv1.NewConfigServiceClient(w.conn).GetConfigStatus(w.ctx(), &gatewayv1.GetConfigStatusRequest{})
	wantStatus(t, err, codes.Internal, message)
	stream, err := gatewayv1.NewBreakerServiceClient(w.conn).ListBreakers(w.ctx(), &gatewayv1.ListBreakersRequest{Service: "users"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantStatus(t, err, codes.Internal, message)
	p.idle(w)
}

func TestPanicEndsOneStream(t *testing.T) {
	w := newWorld(t, options{})
	other, p := w.joins("other"), w.joins("a")
	done := make(chan error, 1)
	go func() {
		done <- w.fleet.Member("a").Do(p.stream.Context(), &gatewayv1.Command{}, func([]*gatewayv1.Entry) { panic("oh no") })
	}()
	p.obey(&gatewayv1.KeyPage{})
	wantStatus(t, p.ends().Err(), codes.Internal, "internal error, see the control plane's log")
	if err := <-done; err == nil {
		t.Error("the command succeeded")
	}
	other.idle(w)
}

// stubborn is a ConfigFile that answers only when it is released, whatever became of the call.
type stubborn struct {
	ConfigFile
	asked, release chan struct{}
	answered       atomic.Bool
}

func (s *stubborn) Status() *gatewayv1.GetConfigStatusResponse {
	close(s.asked)
	<-s.release
	s.answered.Store(true)
	return nil
}

// What the services call is closed after Stop: no handler may be running then.
func TestStopWaitsForHandlers(t *testing.T) {
	slow := &stubborn{asked: make(chan struct{}), release: make(chan struct{})}
	w := newWorld(t, options{config: func(c ConfigFile) ConfigFile {
		slow.ConfigFile = c
		return slow
	}})
	called := make(chan error, 1)
	go func() {
		_, err := gatewayv1.NewConfigServiceClient(w.conn).GetConfigStatus(context.Background(), &gatewayv1.GetConfigStatusRequest{})
		called <- err
	}()
	<-slow.asked
	stopped := make(chan bool)
	go func() {
		w.srv.Stop()
		stopped <- slow.answered.Load()
	}()
	wantStatus(t, <-called, codes.Unavailable, "")
	select {
	case <-stopped:
		t.Fatal("Stop() returned while a handler was running")
	default:
	}
	close(slow.release)
	if !<-stopped {
		t.Error("Stop() returned while a handler was running")
	}
}
