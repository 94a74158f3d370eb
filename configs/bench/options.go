package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	args          []string
	bin           string
	tables        map[string]bool
	scenarios     []scenario
	rounds        int
	duration      time.Duration
	warmup        time.Duration
	dataplanes    int
	services      int
	keyChanges    int
	configChanges int
}

// parseFlags prints what is wrong on stderr.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	opts := options{args: args, tables: map[string]bool{}}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	tables := set.String("tables", "proxies,propagation", "which `tables` to measure, with commas")
	rows := set.String("rows", "", "`regexp` of the scenarios to measure; empty: all")
	custom := scenario{name: "as given", measure: load}
	set.IntVar(&custom.connections, "connections", 32, "`number` of connections, for a scenario of your own")
	set.Int64Var(&custom.body, "body", smallBody, "`bytes` of each body, for a scenario of your own")
	set.BoolVar(&custom.upload, "upload", false, "the body goes up, for a scenario of your own")
	set.IntVar(&custom.cores, "cores", 1, "`number` of cores of each proxy, for a scenario of your own")
	smoke := set.Bool("smoke", false, "one short round of a few rows and a tiny fleet: shows that it works, measures nothing")
	set.StringVar(&opts.bin, "bin", "bin", "`folder` of controlplane and dataplane")
	set.IntVar(&opts.rounds, "rounds", 12, "interleaved `rounds`")
	set.DurationVar(&opts.duration, "duration", 3*time.Second, "`time` of each proxy in each round, in whole seconds")
	set.DurationVar(&opts.warmup, "warmup", time.Second, "`time` of each proxy before the first round, in whole seconds")
	set.IntVar(&opts.dataplanes, "dataplanes", 50, "`number` of data planes of the propagation table")
	set.IntVar(&opts.services, "services", 5000, "`number` of services of the propagation table")
	set.IntVar(&opts.keyChanges, "key-changes", 200, "`number` of keys added, and then revoked")
	set.IntVar(&opts.configChanges, "config-changes", 20, "`number` of changes of one service")
	if err := set.Parse(args); err != nil {
		return opts, err
	}
	err := opts.settle(set, *tables, *rows, custom)
	if *smoke {
		opts.shrink()
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return opts, err
}

func (o *options) settle(set *flag.FlagSet, tables, rows string, custom scenario) error {
	for name := range strings.SplitSeq(tables, ",") {
		if name != "proxies" && name != "propagation" {
			return fmt.Errorf("-tables: unknown table, got %q (want proxies or propagation)", name)
		}
		o.tables[name] = true
	}
	pick, err := regexp.Compile(rows)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	for _, s := range scenarios {
		if pick.MatchString(s.name) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	set.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "connections", "body", "upload", "cores":
			o.scenarios = []scenario{custom.settle()}
		}
	})
	return errors.Join(
		atLeast("-rows: scenarios", len(o.scenarios), 1), atLeast("-rounds", o.rounds, 1),
		atLeast("-connections", custom.connections, 1), atLeast("-cores", custom.cores, 1), atLeast("-body", int(custom.body), smallBody),
		atLeast("-duration: seconds", int(o.duration/time.Second), 1), atLeast("-warmup: seconds", int(o.warmup/time.Second), 1),
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

// shrink makes a run of seconds.
func (o *options) shrink() {
	o.rounds, o.duration, o.warmup = 1, time.Second, 0
	o.dataplanes, o.services, o.keyChanges, o.configChanges = 3, 50, 5, 2
	var few []scenario
	for _, s := range o.scenarios {
		if s.smoke {
			few = append(few, s)
		}
	}
	if few != nil {
		o.scenarios = few
	}
}
