package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// surroundings says with what and where was measured.
func surroundings(ctx context.Context, opts options) string {
	var out strings.Builder
	line := func(name, value string) { fmt.Fprintf(&out, "- %s: %s\n", name, value) }
	line("command", "`"+strings.Join(append([]string{os.Args[0]}, opts.args...), " ")+"`")
	line("date", time.Now().UTC().Format(time.DateOnly))
	line("gateway", builtFrom(filepath.Join(opts.bin, "dataplane")))
	line("HAProxy", firstLine(ctx, "haproxy", "-v"))
	line("nginx", firstLine(ctx, "nginx", "-v"))
	line("wrk", firstLine(ctx, "wrk", "-v"))
	line("kernel", firstLine(ctx, "uname", "-srm"))
	line("CPU", fmt.Sprintf("%s, %d cores", cpuModel(readOr("/proc/cpuinfo")), runtime.NumCPU()))
	line("load average at the start", strings.Join(strings.Fields(readOr("/proc/loadavg"))[:1], " "))
	return out.String()
}

// firstLine is the first line that a program prints; wrk -v ends with status 1, so the status tells nothing.
func firstLine(ctx context.Context, argv ...string) string {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if line == "" {
		return fmt.Sprintf("not found (%v)", err)
	}
	return strings.TrimSpace(line)
}

// builtFrom is the version of a Go program and of what compiled it.
func builtFrom(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("not found (%v)", err)
	}
	return info.Main.Version + ", " + info.GoVersion
}

func readOr(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return string(text)
}

func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// proxyTable is the comparison in Markdown.
func proxyTable(results []result, opts options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "CPU time of the whole proxy, rate, p99 and share of its cores in use: medians of %d rounds of %v. "+
		"Ratio: CPU of the gateway ÷ CPU of the other, geometric mean of the rounds' pairs, with its 95 %% interval (t on logarithms).\n\n", opts.rounds, opts.duration)
	out.WriteString("| scenario | connections, cores | proxy | CPU | rate | p99 | in use | gateway ÷ it (95 %) |\n|---|---|---|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		for i, name := range r.names {
			out.WriteString(r.row(i, name))
		}
	}
	return out.String()
}

func (r result) row(i int, name string) string {
	first, compared := []string{"", ""}, "–"
	if i == 0 {
		first = []string{r.name, fmt.Sprintf("%d, %d", r.connections, r.cores)}
	} else {
		compared = ratio(r.costs(0), r.costs(i)).String()
	}
	inUse := median(each(r.samples[i], func(s sample) float64 { return 100 * s.cpu.Seconds() / s.lasted.Seconds() / float64(r.cores) }))
	return fmt.Sprintf("| %s | %s | %s | %.1f %s | %.0f %s | %.2f ms | %.0f %% | %s |\n", first[0], first[1], name,
		median(r.costs(i)), r.per.name, median(each(r.samples[i], r.per.rate)), r.per.of,
		median(each(r.samples[i], func(s sample) float64 { return s.p99.Seconds() * 1e3 })), inUse, compared)
}
