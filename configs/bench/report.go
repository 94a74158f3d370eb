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

// comparison is what was measured of the proxies, in Markdown.
func comparison(results []result, left []string, opts options) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Medians of %d rounds%s. Ratio: cost of the gateway ÷ cost of the other, geometric mean of the rounds' pairs, with its 95 %% interval (t on logarithms).\n\n",
		opts.rounds, ofEach(opts.duration))
	for _, name := range left {
		fmt.Fprintf(&out, "- left out: %s\n", strings.TrimPrefix(name, "left out: "))
	}
	for _, t := range tables {
		out.WriteString(t.markdown(results))
	}
	return out.String()
}

func ofEach(duration time.Duration) string {
	if duration == 0 {
		return ""
	}
	return fmt.Sprintf(" of %v", duration)
}
