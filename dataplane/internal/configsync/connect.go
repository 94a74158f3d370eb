package configsync

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	minDelay  = 100 * time.Millisecond
	maxDelay  = 10 * time.Second
	firstSpan = 400 * time.Millisecond // of the jitter of the first attempt; doubled with each one
	// remindEvery is how often the same reason for having no control plane is logged again.
	remindEvery = time.Minute
	// settled is how long a stream has to last for the next delay to start small again.
	settled = 10 * time.Second
	// maxReceive leaves room for what wraps a run of records of MaxMessage.
	maxReceive = gatewayv1.MaxMessage + 16<<10
)

// follow connects again and again until ctx ends.
func (c *Client) follow(ctx context.Context) {
	attempt := 0
	ends := endLog{client: c}
	for i := 0; ; i++ {
		address := c.opts.Addresses[i%len(c.opts.Addresses)]
		began := time.Now()
		err := c.connectOrTurn(ctx, address)
		c.replica.link.Store(linkDown)
		c.replica.lost()
		c.metrics.connected.Set(0)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errTurned) {
			attempt, i = 0, i-1
			continue
		}
		if time.Since(began) >= settled || status.Code(err) == codes.Aborted { // the latter: asked to come back
			attempt = 0
		}
		delay := jitter(attempt)
		attempt++
		ends.log(ctx, address, err, delay)
		select {
		case <-ctx.Done():
			return
		case t := <-c.turns:
			t.done <- t.do()
		case <-time.After(delay):
		}
	}
}

// jitter returns a delay of which each value between the least and a bound that doubles is equally likely.
func jitter(attempt int) time.Duration {
	span := min(firstSpan<<min(attempt, 10), maxDelay-minDelay)
	return minDelay + rand.N(span+1)
}

// endLog says why there is no stream: at once when the reason is a new one, then every minute.
type endLog struct {
	client *Client
	last   string
	at     time.Time
}

func (l *endLog) log(ctx context.Context, address string, err error, delay time.Duration) {
	level := slog.LevelWarn
	if reason := address + status.Convert(err).Message(); reason == l.last && time.Since(l.at) < remindEvery {
		level = slog.LevelDebug
	} else {
		l.last, l.at = reason, time.Now()
	}
	log := l.client.opts.Log.With("controlplane", address, "retry_in", delay.Round(time.Millisecond))
	if cause, ok := errors.AsType[*resyncError](err); ok {
		log.WarnContext(ctx, "asking for a part anew, serving goes on", "part", partLabel(cause.part), "reason", cause.reason)
		return
	}
	if s := status.Convert(err); s.Code() == codes.AlreadyExists {
		log.Log(ctx, level, "control plane refuses this id, trying again", "id", l.client.opts.ID, "reason", s.Message())
		return
	}
	log.Log(ctx, level, "no control plane, what is served stays", "err", err)
}

// connect runs one stream to one control plane, and returns why it ended.
func (c *Client) connect(ctx context.Context, address string) error {
	creds := c.opts.Credentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: heartbeatEvery}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: heartbeatEvery}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive), grpc.MaxCallSendMsgSize(maxReceive)),
	}, c.opts.DialOptions...)
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the stream's own error says more
	return c.stream(ctx, gatewayv1.NewSyncServiceClient(conn))
}
