package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// propagation is a row of the second table: one kind of change, made many times, one after the other.
type propagation struct {
	change   string
	all      []float64     // milliseconds until the last data plane served it, a number for each change
	each     []float64     // until one data plane served it, a number for each change and data plane
	cpu      time.Duration // of the whole process, per change and data plane
	down, up float64       // bytes of a data plane's stream per change
}

func runPropagation(ctx context.Context, opts options, dir string, say sayer) (rows []propagation, err error) {
	dir = filepath.Join(dir, "propagation")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	say("propagation: starting %d data planes with %d services", opts.dataplanes, opts.services)
	f, err := startFleet(ctx, opts, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	if _, err := f.repeat(ctx, opts.dataplanes, 5, f.addKey("warm-up")); err != nil { // connections, pools, page cache
		return nil, err
	}
	for _, kind := range []struct {
		change string
		times  int
		make   func(context.Context, int) (*gatewayv1.WatchRolloutRequest, error)
	}{
		{"`keys add`", opts.keyChanges, f.addKey("key")},
		{"`keys revoke`", opts.keyChanges, f.revokeKey("key")},
		{fmt.Sprintf("one service of %d changed in the file", opts.services), opts.configChanges, f.changeService},
	} {
		say("propagation: %s, %d times", kind.change, kind.times)
		row, err := f.repeat(ctx, opts.dataplanes, kind.times, kind.make)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.change, err)
		}
		row.change = kind.change
		rows = append(rows, row)
	}
	return rows, nil
}

// repeat makes changes and waits for each to be served everywhere.
func (f *fleet) repeat(ctx context.Context, dataplanes, times int, change func(context.Context, int) (*gatewayv1.WatchRolloutRequest, error)) (propagation, error) {
	var p propagation
	runtime.GC() // what came before is not to be paid by these changes
	cpu, down, up := ownCPU(), f.relay.down.Load(), f.relay.up.Load()
	for i := range times {
		request, err := change(ctx, i)
		if err != nil {
			return p, err
		}
		after, err := f.prove(ctx, request)
		if err != nil {
			return p, err
		}
		if len(after) != dataplanes {
			return p, fmt.Errorf("rollout: served by %d data planes (want %d)", len(after), dataplanes)
		}
		p.all = append(p.all, slices.Max(after))
		p.each = append(p.each, after...)
	}
	p.cpu = (ownCPU() - cpu) / time.Duration(times*(dataplanes+1))
	p.down, p.up = float64(f.relay.down.Load()-down)/float64(times), float64(f.relay.up.Load()-up)/float64(times)
	return p, nil
}

// prove waits until every data plane serves a change and returns after how many milliseconds each did, all but the metered one.
func (f *fleet) prove(ctx context.Context, request *gatewayv1.WatchRolloutRequest) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	request.TimeoutMs = startPatience.Milliseconds()
	stream, err := gatewayv1.NewRolloutServiceClient(f.conn).WatchRollout(ctx, request)
	last := &gatewayv1.WatchRolloutResponse{}
	for err == nil && !last.GetDone() {
		last, err = stream.Recv()
	}
	if err != nil {
		return nil, fmt.Errorf("rollout: %w", err)
	}
	if !last.GetProven() {
		return nil, fmt.Errorf("rollout: not proven: %v", last.GetRollout())
	}
	var after []float64
	for _, a := range last.GetRollout().GetApplied() {
		if a.GetDataplane() != metered {
			after = append(after, a.GetAfterMs())
		}
	}
	return after, nil
}

func (f *fleet) addKey(name string) func(context.Context, int) (*gatewayv1.WatchRolloutRequest, error) {
	return func(ctx context.Context, i int) (*gatewayv1.WatchRolloutRequest, error) {
		secret, err := apikey.Generate()
		if err != nil {
			return nil, err
		}
		hash := apikey.Hash(secret)
		response, err := gatewayv1.NewKeyServiceClient(f.conn).AddKey(ctx, &gatewayv1.AddKeyRequest{
			Name: fmt.Sprintf("%s-%d", name, i), Sha256: hash[:], SecretId: apikey.SecretID(secret),
		})
		return &gatewayv1.WatchRolloutRequest{Part: gatewayv1.Part_PART_KEYS, Revision: response.GetRevision()}, err
	}
}

func (f *fleet) revokeKey(name string) func(context.Context, int) (*gatewayv1.WatchRolloutRequest, error) {
	return func(ctx context.Context, i int) (*gatewayv1.WatchRolloutRequest, error) {
		response, err := gatewayv1.NewKeyServiceClient(f.conn).RevokeKey(ctx, &gatewayv1.RevokeKeyRequest{NameOrId: fmt.Sprintf("%s-%d", name, i)})
		return &gatewayv1.WatchRolloutRequest{Part: gatewayv1.Part_PART_KEYS, Revision: response.GetRevision(), Revocation: true}, err
	}
}

// changeService replaces the file, has it read, and returns when its revision is known.
func (f *fleet) changeService(ctx context.Context, _ int) (*gatewayv1.WatchRolloutRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	client := gatewayv1.NewConfigServiceClient(f.conn)
	before, err := client.GetConfigStatus(ctx, &gatewayv1.GetConfigStatusRequest{})
	if err != nil {
		return nil, err
	}
	if err := f.writeConfig(); err != nil {
		return nil, err
	}
	select {
	case f.reload <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
		now, err := client.GetConfigStatus(ctx, &gatewayv1.GetConfigStatusRequest{})
		if err != nil {
			return nil, err
		}
		if len(now.GetMistakes()) > 0 {
			return nil, fmt.Errorf("configuration refused: %v", now.GetMistakes())
		}
		if now.GetRevision() != before.GetRevision() {
			return &gatewayv1.WatchRolloutRequest{Part: gatewayv1.Part_PART_CONFIG, Revision: now.GetRevision()}, nil
		}
	}
}

// ownCPU is what this process has used so far.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // only a wrong argument is an error
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// propagationTable is the second table in Markdown.
func propagationTable(rows []propagation, opts options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d data planes × %d services in one process. Milliseconds from the store's commit to the arrival of Applied; "+
		"CPU of everything and bytes of one stream, per change and data plane.\n\n", opts.dataplanes, opts.services)
	out.WriteString("| change | times | last data plane: p50 | p99 | max | any data plane: p50 | p99 | CPU | bytes down, up |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(&out, "| %s | %d | %.1f | %.1f | %.1f | %.1f | %.1f | %v | %.0f, %.0f |\n", r.change, len(r.all),
			percentile(r.all, 50), percentile(r.all, 99), percentile(r.all, 100), percentile(r.each, 50), percentile(r.each, 99),
			r.cpu.Round(time.Microsecond), r.down, r.up)
	}
	return out.String()
}
