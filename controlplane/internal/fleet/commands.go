package fleet

import (
	"context"
	"errors"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Errors of Forget and Do.
var (
	ErrUnknown      = errors.New("unknown data plane")
	ErrConnected    = errors.New("data plane is connected")
	ErrDisconnected = errors.New("data plane is not connected")
	ErrBusy         = errors.New("data plane has too many commands waiting")
)

// call is a command that waits for its result.
type call struct {
	page func([]*gatewayv1.Entry)
	done chan error // capacity 1
}

// Do sends a command, which is its own from then on, and waits for the result. page, if not nil, receives the pages of a list in
// order; it runs on the stream's receiver, so it must not block, and after a Do that failed it may run once more. Errors: that of
// the data plane, ErrDisconnected, ErrBusy, ctx's.
func (m *Member) Do(ctx context.Context, cmd *gatewayv1.Command, page func([]*gatewayv1.Entry)) error {
	cmd.Id = m.fleet.nextID.Add(1)
	c := &call{page: page, done: make(chan error, 1)}
	if err := m.send(cmd, c); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.pending, cmd.GetId())
		return ctx.Err()
	}
}

func (m *Member) send(cmd *gatewayv1.Command, c *call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return ErrDisconnected
	}
	if m.pending == nil {
		m.pending = make(map[uint64]*call)
	}
	m.pending[cmd.GetId()] = c
	if !m.session.Command(cmd) {
		delete(m.pending, cmd.GetId())
		return ErrBusy
	}
	return nil
}

// Result ends the command that it answers; an unknown id, such as one that was given up, is ignored.
func (m *Member) Result(from Session, r *gatewayv1.CommandResult) {
	c := m.call(from, r.GetId(), true)
	if c == nil {
		return
	}
	var err error
	if r.GetError() != "" {
		err = errors.New(r.GetError())
	}
	c.done <- err
}

// Page hands a page to the command that asked for it.
func (m *Member) Page(from Session, p *gatewayv1.KeyPage) {
	if c := m.call(from, p.GetCommandId(), false); c != nil && c.page != nil {
		c.page(p.GetEntries())
	}
}

// call returns the command that a session answers, or nil.
func (m *Member) call(from Session, id uint64, last bool) *call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != from {
		return nil
	}
	c := m.pending[id]
	if last {
		delete(m.pending, id)
	}
	return c
}

func (m *Member) failPendingLocked() {
	for id, c := range m.pending {
		c.done <- ErrDisconnected
		delete(m.pending, id)
	}
}
