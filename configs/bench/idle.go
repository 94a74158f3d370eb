package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// idle measures what a proxy keeps for connections that have each served one request.
func idle(ctx context.Context, b *bed, t *target, _ time.Duration) (s sample, err error) {
	var open clients
	defer func() { err = errors.Join(err, open.close()) }()
	before, err := b.settled(ctx, t)
	if err != nil {
		return s, err
	}
	if err := open.connect(ctx, b, t); err != nil {
		return s, err
	}
	after, err := b.settled(ctx, t)
	if err != nil {
		return s, err
	}
	s.requests = uint64(b.connections)
	s.each = (float64(after) - float64(before)) / float64(b.connections)
	return s, nil
}

// A proxy gives memory back for a while after it has become idle. That has ended when a look finds hardly less than the one before.
const (
	settleLook = 2 * time.Second
	settleMost = 15 // looks
)

// settled is the memory of a proxy that has nothing to do; ours has collected its garbage twice, for what is in a pool goes with the second.
func (b *bed) settled(ctx context.Context, t *target) (uint64, error) {
	for range 2 {
		if t.admin == "" {
			continue
		}
		if _, err := fetch(ctx, "http://"+t.admin+"/debug/pprof/heap?gc=1"); err != nil {
			return 0, err
		}
	}
	last, err := memory(procFolder, t.pid(), "smaps_rollup", "Pss")
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for range settleMost {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-look.C:
		}
		before := last
		if last, err = memory(procFolder, t.pid(), "smaps_rollup", "Pss"); err != nil || last > before-before/100 {
			break
		}
	}
	return last, err
}

// clients are connections that are kept. They may be added to concurrently.
type clients struct {
	mu   sync.Mutex
	open []net.Conn
}

// opening is how many connections are made at a time.
const opening = 32

// connect opens the scenario's connections and sends a request over each.
func (c *clients) connect(ctx context.Context, b *bed, t *target) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(opening)
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nX-API-KEY: %s\r\n\r\n", b.path(), t.address, b.key())
	for range b.connections {
		group.Go(func() error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.address)
			if err != nil {
				return err
			}
			c.mu.Lock()
			c.open = append(c.open, conn)
			c.mu.Unlock()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			return converse(conn, bufio.NewReaderSize(conn, kib), request)
		})
	}
	return group.Wait()
}

func (c *clients) close() (err error) {
	for _, conn := range c.open {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// converse sends a request and reads its answer, which has to be a 200.
func converse(conn net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := readStatus(in, http.MethodGet)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s: got %d (want 200)", conn.RemoteAddr(), status)
	}
	return nil
}
