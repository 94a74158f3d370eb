//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// Takeover is a new process's side. Its methods are called in this order: Take, Ready, and Close at any time.
type Takeover struct {
	Sockets
	Terms

	channel  *channel
	patience patience
	served   bool
}

// Ask asks the process that runs in folder for its place. Errors: ErrNobody, what the other process refuses with, or that it does not
// answer as expected; nothing has changed then. The caller has to Close.
func Ask(ctx context.Context, folder string, r Request) (*Takeover, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socketPath(folder))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNobody
	} else if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	t := &Takeover{channel: &channel{conn.(*net.UnixConn)}, patience: unhurried}
	if err := t.ask(ctx, r); err != nil {
		t.Close()
		return nil, fmt.Errorf("handover: the running process: %w", err)
	}
	return t, nil
}

func (t *Takeover) ask(ctx context.Context, r Request) error {
	defer t.bound(ctx)()
	if err := t.channel.send(message{Step: stepRequest, Request: &r}); err != nil {
		return err
	}
	m, got, err := t.channel.receive(stepOffer, t.patience.step, 2)
	if err != nil {
		return err
	}
	defer got.close()
	sockets, err := listeners(got)
	if err != nil {
		return err
	}
	t.Sockets = Sockets{Public: sockets[0], Admin: sockets[1]}
	if m.Terms != nil {
		t.Terms = *m.Terms
	}
	return nil
}

// bound ends what is read or written with ctx; the function that it returns ends that.
func (t *Takeover) bound(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = t.channel.conn.SetDeadline(time.Now()) })
	return func() { stop() }
}

// Take has the running process let go of id and cache. After an error it has not.
func (t *Takeover) Take(ctx context.Context) error {
	defer t.bound(ctx)()
	if err := t.channel.send(message{Step: stepTake}); err != nil {
		return fmt.Errorf("handover: the running process: %w", err)
	}
	if _, _, err := t.channel.receive(stepFree, t.patience.release, 0); err != nil {
		return fmt.Errorf("handover: the running process: %w", err)
	}
	return nil
}

// Ready has the running process stop accepting: the caller serves from now on. An error means that it has given up waiting and goes on:
// the caller must not serve. If it has ended, that is none: then there is nobody else.
func (t *Takeover) Ready(ctx context.Context) error {
	defer t.bound(ctx)()
	err := t.channel.send(message{Step: stepReady})
	if err == nil || gone(err) { // what it said before it went can still be read
		_, _, err = t.channel.receive(stepYours, t.patience.step, 0)
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("handover: the running process: %w", err)
	}
	t.served = true
	return nil
}

// Close ends the exchange. Before Ready it gives everything back: the running process goes on.
func (t *Takeover) Close() {
	_ = t.channel.conn.Close() // everything was said
	if !t.served && t.Public != nil {
		closeAll([]net.Listener{t.Public, t.Admin})
	}
}
