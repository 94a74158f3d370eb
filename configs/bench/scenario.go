package main

import (
	"context"
	"slices"
	"time"
)

// smallBody is the length of what a backend answers unless it is asked for more.
const smallBody = 46

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// scenario is one row of the comparison.
type scenario struct {
	name        string
	in          *table
	connections int // of the load generator, each with one request under way
	cores       int // of each proxy, and as many workers
	body        int64
	upload      bool // the requests have the body, not the answers
	tls         bool
	open        bool     // no key is asked for, and every path is served
	only        []string // names of the proxies; nil: all
	afresh      int      // rounds, each with proxies started for it; 0: as many as asked for, all with the same proxies
	lasting     time.Duration
	per         unit
	program     string                                    // what it needs beside the proxies; "": nothing
	backends    func(context.Context, *bed) error         // starts them
	ready       func(context.Context, *bed, string) error // nil: a proxy at that base URL does its work
	prepare     func(context.Context, *bed, time.Duration) error
	measure     func(context.Context, *bed, *target, time.Duration) (sample, error)
}

// scenarios is the whole comparison but for propagation. What is measured in another way is a row with another measure.
var scenarios = []scenario{
	small("small-32", 32, 1),
	small("small-256", 256, 1),
	small("small-32-cores-2", 32, 2),
	large("download-1MiB", 8, mib, false),
	large("download-64MiB", 4, 64*mib, false),
	large("upload-1MiB", 8, mib, true),
	large("upload-64MiB", 4, 64*mib, true),
	{
		name: "tls-keep-alive", in: tlsTable, connections: 32, cores: 1, body: smallBody, tls: true, lasting: 2 * time.Second,
		per: request, program: "wrk", backends: plainBackends, ready: check, measure: load,
	},
	{
		name: "tls-handshakes", in: tlsTable, connections: 32, cores: 1, body: smallBody, tls: true, lasting: 2 * time.Second,
		per: handshake, backends: plainBackends, ready: check, measure: handshakes,
	},
	{
		name: "tls-half-rate", in: tlsTable, connections: 32, cores: 1, body: smallBody, tls: true, lasting: 2 * time.Second,
		per: request, program: "wrk", backends: plainBackends, ready: check, prepare: halfOfPeak, measure: steady,
	},
	{
		name: "idle", in: idleTable, connections: 10_000, cores: 1, body: smallBody, afresh: 3,
		per: kibibyte, backends: plainBackends, ready: check, measure: idle,
	},
	{
		name: "allocations", in: allocationTable, connections: 32, cores: 1, body: smallBody, only: []string{gateway}, afresh: 1, lasting: 3 * time.Second,
		per: allocation, program: "wrk", backends: plainBackends, ready: check, measure: allocations,
	},
	{
		name: "strictness", in: strictnessTable, connections: 1, cores: 1, open: true, afresh: 1,
		per: misjudged, backends: lenientBackend, ready: checkOpen, measure: strictness,
	},
}

func small(name string, connections, cores int) scenario {
	return scenario{
		name: name, in: requestTable, connections: connections, cores: cores, body: smallBody, lasting: 3 * time.Second,
		per: request, program: "wrk", backends: plainBackends, ready: check, measure: load,
	}
}

func large(name string, connections int, body int64, upload bool) scenario {
	return scenario{
		name: name, in: bodyTable, connections: connections, cores: 1, body: body, upload: upload, lasting: 2 * time.Second,
		per: gibibyte, program: "wrk", backends: plainBackends, ready: check, measure: load,
	}
}

// path asks a backend for an answer of the right length.
func (s scenario) path() string {
	if s.upload {
		return bodyPath(smallBody)
	}
	return bodyPath(s.body)
}

// sample is what one proxy did in one round. A measure fills in what its table shows.
type sample struct {
	requests uint64
	bytes    uint64 // of bodies, both ways, as the backends count them
	cpu      time.Duration
	lasted   time.Duration
	p99      time.Duration
	peak     uint64  // bytes of memory in use at most since the proxy was started
	each     float64 // bytes of an idle connection, or allocations of a request
	accepted []string
	refused  []string
}

// unit is what a proxy is judged by: less is better.
type unit struct {
	name string
	cost func(sample) float64
	rate func(sample) float64
	of   string // what rate counts
}

var (
	request   = unit{name: "µs/request", of: "requests/s", cost: microseconds, rate: perSecond}
	handshake = unit{name: "µs/handshake", of: "handshakes/s", cost: microseconds, rate: perSecond}
	gibibyte  = unit{
		name: "ms/GiB", of: "MiB/s",
		cost: func(s sample) float64 { return s.cpu.Seconds() * 1e3 / (float64(s.bytes) / gib) },
		rate: func(s sample) float64 { return float64(s.bytes) / mib / s.lasted.Seconds() },
	}
	kibibyte   = unit{name: "KiB/connection", cost: func(s sample) float64 { return s.each / kib }}
	allocation = unit{name: "allocations/request", cost: func(s sample) float64 { return s.each }}
	misjudged  = unit{name: "misjudged", cost: func(s sample) float64 { return float64(len(s.accepted) + len(s.refused)) }}
)

func microseconds(s sample) float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.requests) }

func perSecond(s sample) float64 { return float64(s.requests) / s.lasted.Seconds() }

// result is a scenario and its samples: those of each proxy in the order of the rounds.
type result struct {
	scenario
	names   []string
	samples [][]sample
}

// and adds rounds of the same scenario.
func (r result) and(more result) result {
	for i := range r.samples {
		more.samples[i] = slices.Concat(r.samples[i], more.samples[i])
	}
	return more
}

// costs are what each round of one proxy cost.
func (r result) costs(proxy int) []float64 { return each(r.samples[proxy], r.per.cost) }

func each(samples []sample, value func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = value(s)
	}
	return out
}
