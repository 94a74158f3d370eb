package main

import (
	"context"
	"time"
)

// smallBody is the length of what a backend answers unless it is asked for more.
const smallBody = 46

const (
	mib = 1 << 20
	gib = 1 << 30
)

// scenario is one row of the comparison.
type scenario struct {
	name        string
	connections int   // of the load generator, each with one request under way
	cores       int   // of each proxy, and as many workers
	body        int64 // bytes of each answer's body, or of each request's
	upload      bool
	per         unit
	smoke       bool // part of -smoke
	measure     func(context.Context, *bed, *target, time.Duration) (sample, error)
}

// scenarios is the whole comparison. What is measured in another way is a row with another measure.
var scenarios = []scenario{
	{name: "small-32", connections: 32, cores: 1, body: smallBody, per: request, smoke: true, measure: load},
	{name: "small-256", connections: 256, cores: 1, body: smallBody, per: request, measure: load},
	{name: "small-32-cores-2", connections: 32, cores: 2, body: smallBody, per: request, measure: load},
	{name: "download-1MiB", connections: 8, cores: 1, body: mib, per: gibibyte, smoke: true, measure: load},
	{name: "upload-1MiB", connections: 8, cores: 1, body: mib, upload: true, per: gibibyte, smoke: true, measure: load},
	{name: "download-64MiB", connections: 4, cores: 1, body: 64 * mib, per: gibibyte, measure: load},
	{name: "upload-64MiB", connections: 4, cores: 1, body: 64 * mib, upload: true, per: gibibyte, measure: load},
}

// settle fills in what follows from the rest.
func (s scenario) settle() scenario {
	s.per = request
	if s.body >= mib {
		s.per = gibibyte
	}
	return s
}

// path asks a backend for an answer of the right length.
func (s scenario) path() string {
	if s.upload {
		return bodyPath(smallBody)
	}
	return bodyPath(s.body)
}

// sample is what one proxy did in one round.
type sample struct {
	requests uint64
	bytes    uint64 // of bodies, both ways, as the backends count them
	cpu      time.Duration
	lasted   time.Duration
	p99      time.Duration
}

// unit is what CPU time is divided by.
type unit struct {
	name string
	cost func(sample) float64
	rate func(sample) float64
	of   string // what rate counts
}

var (
	request = unit{
		name: "µs/request", of: "requests/s",
		cost: func(s sample) float64 { return float64(s.cpu.Nanoseconds()) / 1e3 / float64(s.requests) },
		rate: func(s sample) float64 { return float64(s.requests) / s.lasted.Seconds() },
	}
	gibibyte = unit{
		name: "ms/GiB", of: "MiB/s",
		cost: func(s sample) float64 { return s.cpu.Seconds() * 1e3 / (float64(s.bytes) / gib) },
		rate: func(s sample) float64 { return float64(s.bytes) / mib / s.lasted.Seconds() },
	}
)

// result is a scenario and its samples: those of each proxy in the order of the rounds.
type result struct {
	scenario
	names   []string // the first is ours
	samples [][]sample
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
