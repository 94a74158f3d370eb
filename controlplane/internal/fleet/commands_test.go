package fleet

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// do sends a command in the background and returns it with the channel of its result.
func (p *plane) do(ctx context.Context, page func([]*gatewayv1.Entry)) (*gatewayv1.Command, <-chan error) {
	done := make(chan error, 1)
	go func() { done <- p.Do(ctx, &gatewayv1.Command{}, page) }()
	return <-p.commands, done
}

func TestDo(t *testing.T) {
	a := newBench(t).connect("a")
	var names []string
	cmd, done := a.do(t.Context(), func(page []*gatewayv1.Entry) {
		for _, e := range page {
			names = append(names, e.GetId())
		}
	})
	for _, name := range []string{"alice", "bob"} {
		a.Page(a.stream, &gatewayv1.KeyPage{CommandId: cmd.GetId(), Entries: []*gatewayv1.Entry{{Id: name}}})
	}
	a.Page(a.stream, &gatewayv1.KeyPage{CommandId: cmd.GetId() + 1, Entries: []*gatewayv1.Entry{{Id: "of another command"}}})
	a.Result(a.stream, &gatewayv1.CommandResult{Id: cmd.GetId() + 1, Error: "of another command"})
	a.Result(a.stream, &gatewayv1.CommandResult{Id: cmd.GetId()})
	if err := <-done; err != nil {
		t.Errorf("Do() = %v, want success", err)
	}
	if want := []string{"alice", "bob"}; !cmp.Equal(names, want) {
		t.Errorf("pages hold %q, want %q", names, want)
	}
	a.Result(a.stream, &gatewayv1.CommandResult{Id: cmd.GetId(), Error: "twice"})
}

func TestDoFails(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(a *plane, cancel context.CancelFunc, id uint64)
		want error
		text string
	}{
		{"there", func(a *plane, _ context.CancelFunc, id uint64) {
			a.Result(a.stream, &gatewayv1.CommandResult{Id: id, Error: `service "users": no breaker`})
		}, nil, `service "users": no breaker`},
		{"disconnect", func(a *plane, _ context.CancelFunc, _ uint64) { a.leave() }, ErrDisconnected, ""},
		{"given up", func(_ *plane, cancel context.CancelFunc, _ uint64) { cancel() }, context.Canceled, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newBench(t).connect("a")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd, done := a.do(ctx, nil)
			test.end(a, cancel, cmd.GetId())
			err := <-done
			if test.want != nil && !errors.Is(err, test.want) || test.text != "" && err.Error() != test.text {
				t.Errorf("Do() = %v, want %v %s", err, test.want, test.text)
			}
			if n := len(a.pending); n != 0 {
				t.Errorf("%d commands are pending, want none", n)
			}
		})
	}
}

func TestDoWithoutRoom(t *testing.T) {
	a := newBench(t).connect("a")
	for range cap(a.commands) {
		a.commands <- &gatewayv1.Command{}
	}
	if err := a.Do(t.Context(), &gatewayv1.Command{}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("Do() = %v, want %v", err, ErrBusy)
	}
	a.leave()
	if err := a.Do(t.Context(), &gatewayv1.Command{}, nil); !errors.Is(err, ErrDisconnected) {
		t.Errorf("Do() = %v, want %v", err, ErrDisconnected)
	}
}
