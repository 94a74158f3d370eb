package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type sayer func(format string, args ...any)

// runScenarios measures one after the other. Nothing of one is left when the next begins.
func runScenarios(ctx context.Context, opts options, dir string, say sayer) ([]result, error) {
	if err := checkPrograms(opts.bin); err != nil {
		return nil, fmt.Errorf("programs: %w", err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("cpu: %w (want Linux)", err)
	}
	allowed, err := allowedCores(string(status))
	if err != nil {
		return nil, err
	}
	var results []result
	for i, s := range opts.scenarios {
		b := &bed{scenario: s, bin: opts.bin, dir: filepath.Join(dir, fmt.Sprint("scenario-", i)), keys: makeKeys(keyCount)}
		if b.on, err = split(allowed, s.cores); err != nil {
			return nil, err
		}
		if err := os.Mkdir(b.dir, 0o700); err != nil {
			return nil, err
		}
		r, err := b.run(ctx, opts, say)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// run starts everything for one scenario, measures it and stops everything.
func (b *bed) run(ctx context.Context, opts options, say sayer) (r result, err error) {
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx); err != nil {
		return r, err
	}
	return b.compare(ctx, opts, say)
}

// compare warms up, then measures every proxy once a round, each round beginning with another one.
func (b *bed) compare(ctx context.Context, opts options, say sayer) (result, error) {
	r := result{scenario: b.scenario, samples: make([][]sample, len(b.targets))}
	for _, t := range b.targets {
		r.names = append(r.names, t.name)
		if opts.warmup == 0 {
			continue
		}
		if _, err := b.measure(ctx, b, t, opts.warmup); err != nil {
			return r, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for round := range opts.rounds {
		var costs strings.Builder
		for turn := range b.targets {
			i := (round + turn) % len(b.targets)
			s, err := b.measure(ctx, b, b.targets[i], opts.duration)
			if err != nil {
				return r, fmt.Errorf("%s: %w", b.targets[i].name, err)
			}
			r.samples[i] = append(r.samples[i], s)
			fmt.Fprintf(&costs, " %s %.1f", b.targets[i].name, b.per.cost(s))
		}
		say("%s: round %d of %d, %s:%s", b.name, round+1, opts.rounds, b.per.name, &costs)
	}
	return r, nil
}
