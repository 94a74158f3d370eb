package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

type sayer func(format string, args ...any)

// runScenarios measures one after the other. Nothing of one is left when the next begins. left names what could not be measured.
func runScenarios(ctx context.Context, opts options, dir string, say sayer) (results []result, left []string, err error) {
	if err := checkPrograms(opts.bin); err != nil {
		return nil, nil, fmt.Errorf("programs: %w", err)
	}
	allowed, err := allowedCores(readOr("/proc/self/status"))
	if err != nil {
		return nil, nil, err
	}
	rivals, absent := present()
	for _, name := range absent {
		left = append(left, name+": not found")
	}
	for i, s := range opts.scenarios {
		var r result
		for again := range max(min(s.afresh, opts.rounds), 1) {
			b := &bed{scenario: s, bin: opts.bin, dir: filepath.Join(dir, fmt.Sprintf("scenario-%d-%d", i, again)), keys: makeKeys(keyCount)}
			var next result
			if next, err = b.runOn(ctx, opts, allowed, rivals, say); err != nil {
				break
			}
			r = r.and(next)
		}
		if errors.Is(err, errLeftOut) {
			left = append(left, fmt.Sprintf("%s: %v", s.name, err))
			say("%s: %v", s.name, err)
		} else if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.name, err)
		} else {
			results = append(results, r)
		}
	}
	return results, left, nil
}

// checkPrograms names what nothing can be measured without.
func checkPrograms(bin string) error {
	var errs []error
	for _, program := range []string{"taskset", filepath.Join(bin, "controlplane"), filepath.Join(bin, "dataplane")} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// files is how many open ones are asked for. A proxy keeps few to its backends, but ours refuses connections from 90 % on.
const files = 65_536

// runOn makes room for one scenario and runs it.
func (b *bed) runOn(ctx context.Context, opts options, allowed []int, rivals []contestant, say sayer) (r result, err error) {
	if _, err := exec.LookPath(b.program); b.program != "" && err != nil {
		return r, fmt.Errorf("%w: %s is not found", errLeftOut, b.program)
	}
	if b.on, err = split(allowed, b.cores); err != nil {
		return r, err
	}
	may, err := raiseFileLimit(files)
	if err != nil {
		return r, err
	}
	if most := int(may/10*9) - 2*spareConnections; b.connections > most {
		say("%s: %d connections instead of %d, for only %d files may be open", b.name, most, b.connections, may)
		b.connections = most
	}
	rivals = slices.DeleteFunc(slices.Clone(rivals), func(c contestant) bool { return b.only != nil && !slices.Contains(b.only, c.name) })
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return r, err
	}
	return b.run(ctx, opts, rivals, say)
}

// run starts everything for one scenario, measures it and stops everything.
func (b *bed) run(ctx context.Context, opts options, rivals []contestant, say sayer) (r result, err error) {
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx, rivals); err != nil {
		return r, err
	}
	if b.afresh > 0 {
		opts.rounds, opts.warmup = 1, 0
	}
	if opts.duration == 0 {
		opts.duration = b.lasting
	}
	return b.compare(ctx, opts, say)
}

// compare warms up, then measures every proxy once a round, each round beginning with another one.
func (b *bed) compare(ctx context.Context, opts options, say sayer) (result, error) {
	r := result{scenario: b.scenario, samples: make([][]sample, len(b.targets))}
	if b.prepare != nil {
		if err := b.prepare(ctx, b, opts.duration); err != nil {
			return r, err
		}
	}
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
