package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// relay passes connections on to an address and counts what goes through, so that the bytes of one data plane's stream can
// be told, HTTP/2 framing included.
type relay struct {
	listener net.Listener
	to       string
	down, up atomic.Uint64 // bytes from the address, and to it
}

func newRelay(to string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return &relay{listener: l, to: to}, err
}

// run serves until ctx ends, and returns when every connection has.
func (r *relay) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = r.listener.Close() })()
	ended := make(chan struct{})
	open := 0
	defer func() {
		for range open {
			<-ended
		}
	}()
	for {
		conn, err := r.listener.Accept()
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		open++
		go func() {
			_ = r.pass(ctx, conn) // a broken connection is its two ends' matter
			ended <- struct{}{}
		}()
	}
}

// pass returns when both directions have ended; the end of one, or of ctx, ends the other.
func (r *relay) pass(ctx context.Context, client net.Conn) error {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.to)
	if err != nil {
		return err
	}
	hangUp := func() { _ = errors.Join(client.Close(), server.Close()) }
	defer context.AfterFunc(ctx, hangUp)()
	ended := make(chan error, 2)
	go func() { ended <- move(server, client, &r.up) }()
	go func() { ended <- move(client, server, &r.down) }()
	err = <-ended
	hangUp()
	return errors.Join(err, <-ended)
}

func move(to io.Writer, from io.Reader, count *atomic.Uint64) error {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			count.Add(uint64(n))
			if _, err := to.Write(piece[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
