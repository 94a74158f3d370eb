package configsync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	gatewayv1 "apigateway/proto/gateway/v1"
)

var errSilent = fmt.Errorf("nothing was heard for %v", silence)

// session is one stream. One goroutine receives and answers, another one sends: heartbeats are never late because a large
// change takes its time.
type session struct {
	client  *Client
	stream  gatewayv1.SyncService_SyncClient
	ctx     context.Context // of the stream
	quiet   *time.Timer     // cuts the stream when it fires
	out     chan *gatewayv1.SyncRequest
	welcome chan struct{} // closed at the first Welcome

	mu      sync.Mutex
	heard   int64 // time_us of the newest message that had one
	heardAt time.Time
	leaving error // why this side ended the stream in order; nil: it did not
}

// stream says Hello and serves one stream until it ends. When ctx ends, what is left to report is sent first.
func (c *Client) stream(ctx context.Context, service gatewayv1.SyncServiceClient) error {
	sctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(goodbye, func() { cancel(context.Cause(ctx)) })
	})
	defer stop()
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	stream, err := service.Sync(sctx)
	if err != nil {
		return err
	}
	s := &session{
		client:  c,
		stream:  stream,
		ctx:     sctx,
		quiet:   quiet,
		out:     make(chan *gatewayv1.SyncRequest, 16),
		welcome: make(chan struct{}),
	}
	_ = stream.Send(message(c.hello())) // why it failed is what Recv returns
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel(nil) // before the wait: the sender ends with the stream
	sender.Go(func() {
		_ = s.send(ctx)                                 // likewise
		time.AfterFunc(goodbye, func() { cancel(nil) }) // so long has the control plane to end its side
	})
	return s.cause(s.receive())
}

// cause returns the reason behind a stream's error.
func (s *session) cause(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving != nil {
		return s.leaving
	}
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// receive answers messages until the stream ends or one is against the protocol.
func (s *session) receive() error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.quiet.Stop() // what a message takes is not the control plane's silence
		out, err := s.take(m)
		if err != nil {
			return err
		}
		for _, reply := range out {
			s.reply(reply)
		}
		s.quiet.Reset(silence)
	}
}

func (s *session) take(m *gatewayv1.SyncResponse) (replies, error) {
	r := s.client.replica
	s.logMessage(m)
	switch {
	case len(m.GetRecords()) > 0:
		return r.takeRecords(m.GetRecords())
	case m.GetSnapshot() != nil:
		return r.takeChunk(m.GetSnapshot())
	case m.GetWelcome() != nil:
		return s.takeWelcome(m.GetWelcome()), nil
	case m.GetHeartbeat() != nil:
		s.note(m.GetHeartbeat().GetTimeUs())
		return append(r.retryConfig(), r.retryCache()...), nil
	case m.GetCommand() != nil:
		s.client.obey(m.GetCommand(), s.reply)
	}
	return nil, nil // of a kind that this data plane does not know
}

func (s *session) takeWelcome(w *gatewayv1.Welcome) replies {
	s.note(w.GetTimeUs())
	s.client.metrics.connected.Set(1)
	out := s.client.replica.takeWelcome(w)
	s.client.noteWelcome()
	select {
	case <-s.welcome:
	default:
		close(s.welcome)
	}
	return out
}

// note remembers the control plane's clock for the next heartbeat.
func (s *session) note(timeUs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.heardAt = timeUs, time.Now()
}

// reply hands a message to the sender. It blocks while the control plane does not read, as long as it may be silent.
func (s *session) reply(m *gatewayv1.SyncRequest) {
	s.quiet.Reset(silence)
	select {
	case s.out <- m:
	case <-s.ctx.Done():
	}
}

func (s *session) logMessage(m *gatewayv1.SyncResponse) {
	log := s.client.opts.Log
	switch {
	case len(m.GetRecords()) > 0:
		last := m.GetRecords()[len(m.GetRecords())-1]
		log.Debug("received records", "part", last.GetPart(), "records", len(m.GetRecords()), "revision", last.GetRevision())
	case m.GetSnapshot() != nil:
		c := m.GetSnapshot()
		log.Debug("received snapshot chunk", "part", c.GetState().GetPart(), "revision", c.GetState().GetRevision(),
			"chunk", c.GetIndex(), "entries", len(c.GetEntries()), "last", c.GetLast())
	case m.GetWelcome() != nil:
		log.Debug("received welcome", "epoch", m.GetWelcome().GetEpoch(), "foreign", m.GetWelcome().GetForeign())
	case m.GetHeartbeat() != nil:
		log.Debug("received heartbeat")
	case m.GetCommand() != nil:
		log.Debug("received command", "id", m.GetCommand().GetId())
	default:
		log.Debug("received message of a kind that is not known")
	}
}
