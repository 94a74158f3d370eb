package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load drives a proxy with wrk: each connection sends its next request when it has the answer to the last.
func load(ctx context.Context, b *bed, t *target, lasting time.Duration) (sample, error) {
	return b.gauge(ctx, t, func() (sample, error) {
		text, err := b.wrk(ctx, t, lasting)
		if err != nil {
			return sample{}, err
		}
		return parseWrk(text)
	})
}

// gauge adds to a sample what the proxy used and the backends moved for it.
func (b *bed) gauge(ctx context.Context, t *target, drive func() (sample, error)) (sample, error) {
	bytes, err := b.moved(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu, err := cpuTime(procFolder, t.pid())
	if err != nil {
		return sample{}, err
	}
	s, err := drive()
	if err != nil {
		return sample{}, err
	}
	after, err := cpuTime(procFolder, t.pid())
	if err != nil {
		return sample{}, err
	}
	moved, err := b.moved(ctx)
	if err != nil {
		return sample{}, err
	}
	if s.peak, err = memory(procFolder, t.pid(), "status", "VmHWM"); err != nil {
		return sample{}, err
	}
	s.cpu, s.bytes = after-cpu, moved-bytes
	if s.cpu <= 0 || s.bytes == 0 || s.requests == 0 && b.body < mib { // a large one may take longer than a sample
		return sample{}, fmt.Errorf("%s: got %v for %d requests and %d bytes (want some of each; a longer -duration)", t.name, s.cpu, s.requests, s.bytes)
	}
	return s, nil
}

// wrk runs it and returns what it printed. It knows whole seconds only.
func (b *bed) wrk(ctx context.Context, t *target, lasting time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting+3*patience)
	defer cancel()
	threads := min(len(b.on.load), b.connections, 4)
	args := []string{
		"-c", list(b.on.load), "wrk", "--latency", "-t", strconv.Itoa(threads), "-c", strconv.Itoa(b.connections),
		"-d", fmt.Sprintf("%.0fs", math.Ceil(lasting.Seconds())), "--timeout", "30s", "-H", "X-API-KEY: " + b.key(),
	}
	if b.upload {
		args = append(args, "-s", filepath.Join(b.dir, "upload.lua"))
	}
	cmd := exec.CommandContext(ctx, "taskset", append(args, b.base(t)+b.path())...)
	cmd.SysProcAttr = endWithUs()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("wrk: %w: %s", err, out)
	}
	return string(out), nil
}

var (
	wrkTotal = regexp.MustCompile(`(?m)^\s*(\d+) requests in ([\d.]+[a-z]+),`)
	wrkP99   = regexp.MustCompile(`(?m)^\s*99%\s+([\d.]+[a-z]+)`)
	wrkWrong = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx or 3xx responses): .*`)
)

// parseWrk reads what wrk prints with --latency. Any error or refused request makes the sample worthless, and is an error here.
func parseWrk(text string) (sample, error) {
	if wrong := wrkWrong.FindString(text); wrong != "" {
		return sample{}, fmt.Errorf("wrk: %s", strings.TrimSpace(wrong))
	}
	total, p99 := wrkTotal.FindStringSubmatch(text), wrkP99.FindStringSubmatch(text)
	if total == nil || p99 == nil {
		return sample{}, fmt.Errorf("wrk: got %q (want requests and a 99%% line)", text)
	}
	var s sample
	var err error
	if s.requests, err = strconv.ParseUint(total[1], 10, 64); err != nil {
		return s, fmt.Errorf("wrk: requests: %w", err)
	}
	if s.lasted, err = time.ParseDuration(total[2]); err != nil {
		return s, fmt.Errorf("wrk: %w", err)
	}
	if s.p99, err = time.ParseDuration(p99[1]); err != nil {
		return s, fmt.Errorf("wrk: %w", err)
	}
	return s, nil
}

// moved asks the backends how many bytes of bodies they have read and written.
func (b *bed) moved(ctx context.Context) (uint64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.counter)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}
