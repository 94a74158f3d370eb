package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// handshakes opens a connection for each request.
func handshakes(ctx context.Context, b *bed, t *target, lasting time.Duration) (sample, error) {
	return b.gauge(ctx, t, func() (sample, error) { return b.drive(ctx, t, 0, lasting) })
}

// steady sends requests at the rate that halfOfPeak has found.
func steady(ctx context.Context, b *bed, t *target, lasting time.Duration) (sample, error) {
	return b.gauge(ctx, t, func() (sample, error) { return b.drive(ctx, t, b.perSec, lasting) })
}

// halfOfPeak sets the rate to half of what HAProxy does when it is driven as fast as it can be.
func halfOfPeak(ctx context.Context, b *bed, lasting time.Duration) error {
	for _, t := range b.targets {
		if t.name != haproxy {
			continue
		}
		s, err := load(ctx, b, t, lasting)
		b.perSec = perSecond(s) / 2
		return err
	}
	return fmt.Errorf("%w: HAProxy is not found, and its peak rate is the measure", errLeftOut)
}

// errLeftOut is of a scenario that cannot be measured here.
var errLeftOut = errors.New("left out")

// drive runs this program once more, as a load generator on its cores.
func (b *bed) drive(ctx context.Context, t *target, perSecond float64, lasting time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting+3*patience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	text, err := json.Marshal(order{
		Address: t.address, Path: b.path(), Key: b.key(), Roots: b.certs.cert, Connections: b.connections, PerSecond: perSecond, Lasting: lasting,
	})
	if err != nil {
		return sample{}, err
	}
	var out, problem bytes.Buffer
	cmd := exec.CommandContext(ctx, "taskset", "-c", list(b.on.load), self, driveCommand)
	cmd.SysProcAttr, cmd.Stdin, cmd.Stdout, cmd.Stderr = endWithUs(), bytes.NewReader(text), &out, &problem
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("drive: %w: %s", err, &problem)
	}
	var done outcome
	err = json.Unmarshal(out.Bytes(), &done)
	return sample{requests: done.Requests, lasted: done.Lasted, p99: done.P99}, err
}
