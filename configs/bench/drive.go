package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// driveCommand makes this program a load generator for what wrk has no way to do.
const driveCommand = "drive"

// order is what a load generator is to do.
type order struct {
	Address, Path, Key string
	Roots              string // file with the certificate of the proxy; empty: no TLS
	Connections        int
	PerSecond          float64 // requests, over all connections together; 0: each request has a new connection, as fast as can be
	Lasting            time.Duration
}

// outcome is what a load generator has seen.
type outcome struct {
	Requests uint64
	Lasted   time.Duration
	P99      time.Duration
}

// runDrive reads an order, carries it out and writes its outcome, both as JSON.
func runDrive(stdin io.Reader, stdout, stderr io.Writer) int {
	var o order
	err := json.NewDecoder(stdin).Decode(&o)
	if err == nil {
		var done outcome
		if done, err = o.drive(context.Background()); err == nil {
			err = json.NewEncoder(stdout).Encode(done)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "drive:", err)
		return 1
	}
	return 0
}

// drive returns when the time is over and the last request has its answer.
func (o order) drive(ctx context.Context) (outcome, error) {
	config, err := trusting(o.Roots)
	if err != nil {
		return outcome{}, err
	}
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, o.Connections)
	for i := range took {
		c := caller{order: o, config: config, begin: begin, end: begin.Add(o.Lasting)}
		group.Go(func() (err error) {
			if o.PerSecond == 0 {
				took[i], err = c.anew(ctx)
			} else {
				took[i], err = c.steadily(ctx, i)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return outcome{}, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return outcome{}, errors.New("no request: too short")
	}
	seconds := make([]float64, len(all))
	for i, d := range all {
		seconds[i] = d.Seconds()
	}
	p99 := time.Duration(percentile(seconds, 99) * float64(time.Second))
	return outcome{Requests: uint64(len(all)), Lasted: time.Since(begin), P99: p99}, nil
}

// caller is one connection of a load generator, or one after the other.
type caller struct {
	order
	config     *tls.Config
	begin, end time.Time
}

// call opens a connection. With TLS, the handshake is over, and was a full one.
func (c caller) call(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(c.end.Add(patience)); err != nil || c.config == nil {
		return conn, err
	}
	config := c.config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(c.Address) // it has been dialed
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if secure.ConnectionState().DidResume {
		return nil, errors.Join(errors.New("handshake: got a resumed session (want a full one)"), conn.Close())
	}
	return secure, nil
}

func (c caller) request(lines string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nX-API-KEY: %s\r\n%s\r\n", c.Path, c.Address, c.Key, lines)
}

// anew opens a connection for each request and returns how long each took, connecting and handshake included.
func (c caller) anew(ctx context.Context) (took []time.Duration, err error) {
	request := c.request("Connection: close\r\n")
	for begin := time.Now(); begin.Before(c.end); begin = time.Now() {
		conn, err := c.call(ctx)
		if err != nil {
			return nil, err
		}
		err = converse(conn, bufio.NewReaderSize(conn, kib), request)
		took = append(took, time.Since(begin))
		_ = conn.Close() // the proxy closes too, and may be first
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// steadily sends one connection's share of the requests at fixed times, the i-th of all connections. Each is timed from when it
// was due if the answer before it was late, for a client would have had to wait too (no coordinated omission); from when it was
// sent if the load generator was late itself.
func (c caller) steadily(ctx context.Context, i int) (took []time.Duration, err error) {
	conn, err := c.call(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in, request := bufio.NewReaderSize(conn, kib), c.request("")
	gap := time.Duration(float64(c.Connections) / c.PerSecond * float64(time.Second))
	var free time.Time
	for due := c.begin.Add(gap * time.Duration(i) / time.Duration(c.Connections)); due.Before(c.end); due = due.Add(gap) {
		time.Sleep(time.Until(due))
		from := time.Now()
		if free.After(due) {
			from = due
		}
		if err := converse(conn, in, request); err != nil {
			return nil, err
		}
		free = time.Now()
		took = append(took, free.Sub(from))
	}
	return took, nil
}
