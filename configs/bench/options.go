package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	args          []string
	bin           string
	scenarios     []scenario
	propagation   bool // the table of it is asked for
	rounds        int
	duration      time.Duration // 0: that of each scenario
	warmup        time.Duration
	dataplanes    int
	services      int
	keyChanges    int
	configChanges int
}

// propagationRow is the name of the table of propagation among the scenarios.
const propagationRow = "propagation"

// parseFlags prints what is wrong on stderr.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	opts := options{args: args}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	rows := set.String("rows", "*", "`names` of the scenarios to measure, with commas; * stands for any characters")
	var own scenario
	set.IntVar(&own.connections, "connections", 32, "`number` of connections, for a scenario of your own")
	set.Int64Var(&own.body, "body", smallBody, "`bytes` of each body, for a scenario of your own")
	set.BoolVar(&own.upload, "upload", false, "the body goes up, for a scenario of your own")
	set.IntVar(&own.cores, "cores", 1, "`number` of cores of each proxy, for a scenario of your own")
	smoke := set.Bool("smoke", false, "one short round of each scenario and a tiny fleet: shows that it works, measures nothing")
	set.StringVar(&opts.bin, "bin", "bin", "`folder` of controlplane and dataplane")
	set.IntVar(&opts.rounds, "rounds", 12, "interleaved `rounds`")
	set.DurationVar(&opts.duration, "duration", 0, "`time` of each proxy in each round; 0: 3s for small bodies, else 2s")
	set.DurationVar(&opts.warmup, "warmup", time.Second, "`time` of each proxy before the first round")
	set.IntVar(&opts.dataplanes, "dataplanes", 50, "`number` of data planes for propagation")
	set.IntVar(&opts.services, "services", 5000, "`number` of services for propagation")
	set.IntVar(&opts.keyChanges, "key-changes", 200, "`number` of keys added, and then revoked")
	set.IntVar(&opts.configChanges, "config-changes", 20, "`number` of changes of one service")
	if err := set.Parse(args); err != nil {
		return opts, err
	}
	err := errors.Join(opts.pick(*rows), opts.check(own))
	set.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "connections", "body", "upload", "cores":
			opts.scenarios, opts.propagation = []scenario{own.settle()}, false
		}
	})
	if *smoke {
		opts.shrink()
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return opts, err
}

// pick takes the scenarios whose names match one of the patterns.
func (o *options) pick(patterns string) error {
	var errs []error
	wanted := map[string]bool{}
	for pattern := range strings.SplitSeq(patterns, ",") {
		some := false
		for _, name := range rowNames() {
			matched, err := path.Match(pattern, name)
			if err != nil {
				return fmt.Errorf("-rows: %q: %w", pattern, err)
			}
			some = some || matched
			wanted[name] = wanted[name] || matched
		}
		if !some {
			errs = append(errs, fmt.Errorf("-rows: no such scenario, got %q (want of %s)", pattern, strings.Join(rowNames(), ", ")))
		}
	}
	for _, s := range scenarios {
		if wanted[s.name] {
			o.scenarios = append(o.scenarios, s)
		}
	}
	o.propagation = wanted[propagationRow]
	return errors.Join(errs...)
}

func rowNames() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return append(names, propagationRow)
}

func (o *options) check(own scenario) error {
	var short error
	if o.duration < 0 || o.warmup < 0 {
		short = fmt.Errorf("-duration, -warmup: got %v and %v (want 0s or more)", o.duration, o.warmup)
	}
	return errors.Join(
		atLeast("-rounds", o.rounds, 1), short,
		atLeast("-connections", own.connections, 1), atLeast("-cores", own.cores, 1), atLeast("-body", int(own.body), smallBody),
		atLeast("-dataplanes", o.dataplanes, 1), atLeast("-services", o.services, 1),
		atLeast("-key-changes", o.keyChanges, 1), atLeast("-config-changes", o.configChanges, 1),
	)
}

func atLeast(what string, got, want int) error {
	if got < want {
		return fmt.Errorf("%s: got %d (want %d or more)", what, got, want)
	}
	return nil
}

// settle makes a whole scenario of what flags say.
func (s scenario) settle() scenario {
	whole := small("as given", s.connections, s.cores)
	if s.body >= mib {
		whole = large("as given", s.connections, s.body, s.upload)
	}
	whole.cores, whole.body, whole.upload = s.cores, s.body, s.upload
	return whole
}

// smokeConnections is what idle has in a run of seconds.
const smokeConnections = 200

// shrink makes a run of seconds.
func (o *options) shrink() {
	o.rounds, o.duration, o.warmup = 1, 300*time.Millisecond, 0
	o.dataplanes, o.services, o.keyChanges, o.configChanges = 3, 50, 5, 2
	for i := range o.scenarios {
		o.scenarios[i].connections = min(o.scenarios[i].connections, smokeConnections)
	}
}
