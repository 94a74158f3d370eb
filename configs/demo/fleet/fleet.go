package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// grace is what a process gets between SIGTERM and being killed; longer than a data plane's drain.
const grace = 10 * time.Second

// probeEvery is the pause between two looks at whether a process is ready.
const probeEvery = 50 * time.Millisecond

// fleet is everything that runs. Only the goroutine of run and stop uses it.
type fleet struct {
	opts    options
	console *console
	client  *http.Client
	plan    [][]spec
	started [][]*child // by step of the plan
	gone    chan *child
}

func newFleet(opts options, stdout io.Writer) *fleet {
	f := &fleet{
		opts: opts, console: &console{w: stdout}, plan: plan(opts),
		client: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	all := slices.Concat(f.plan...)
	for _, s := range all {
		f.console.width = max(f.console.width, len(s.name))
	}
	f.gone = make(chan *child, len(all))
	return f
}

// run starts every step and watches until ctx ends (nil) or a process fails. What it started still runs when it returns.
func (f *fleet) run(ctx context.Context) error {
	for _, step := range f.plan {
		if err := f.startStep(ctx, step); ctx.Err() != nil {
			return nil // stopped while starting is stopped all the same
		} else if err != nil {
			return err
		}
	}
	f.console.printf("%s", f.banner())
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-f.gone:
			if !c.byHand() {
				return c.failure()
			}
			f.console.printf("%s was stopped (%s), the others go on; to start it again:\n  %s\n",
				c.name, c.cmd.ProcessState, strings.Join(c.argv, " "))
		}
	}
}

// startStep returns when all of the step are ready, or with the first that cannot be.
func (f *fleet) startStep(ctx context.Context, step []spec) error {
	f.started = append(f.started, nil)
	children := &f.started[len(f.started)-1]
	for _, s := range step {
		c, err := start(s, f.console, f.gone)
		if err != nil {
			return err
		}
		*children = append(*children, c)
	}
	return f.awaitReady(ctx, slices.Clone(*children))
}

func (f *fleet) awaitReady(ctx context.Context, pending []*child) error {
	ctx, cancel := context.WithTimeoutCause(ctx, f.opts.readyTimeout, errNotReady)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		pending = slices.DeleteFunc(pending, func(c *child) bool { return f.isReady(ctx, c) })
		if len(pending) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case c := <-f.gone:
			return c.failure()
		case <-ctx.Done():
			c := pending[0]
			return fmt.Errorf("%s: %w, got no 200 from %s within %v", c.name, context.Cause(ctx), c.ready, f.opts.readyTimeout)
		}
	}
}

var errNotReady = errors.New("not ready")

func (f *fleet) isReady(ctx context.Context, c *child) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ready, http.NoBody)
	if err != nil {
		return false
	}
	res, err := f.client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends every process, the last step first, and returns when all are gone. When hurry ends, those left are killed.
func (f *fleet) stop(hurry context.Context) {
	for _, step := range slices.Backward(f.started) {
		ctx, cancel := context.WithTimeout(hurry, grace)
		for _, c := range step {
			c.terminate()
		}
		for _, c := range step {
			f.awaitEnd(ctx, c)
		}
		cancel()
	}
}

func (f *fleet) awaitEnd(ctx context.Context, c *child) {
	select {
	case <-c.ended:
		return
	case <-ctx.Done():
	}
	f.console.printf("%s does not end, it is killed\n", c.name)
	c.kill()
	<-c.ended
}
