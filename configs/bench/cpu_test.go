package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// proc writes a folder as /proc.
func proc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCPUTime(t *testing.T) {
	threads := map[string]string{
		"10/task/10/schedstat": "1000 5 1\n", "10/task/10/children": "",
		"10/task/11/schedstat": "200 5 1\n", "10/task/11/children": "",
	}
	master := map[string]string{
		"10/task/10/schedstat": "1 0 1\n", "10/task/10/children": "20 21 ",
		"20/task/20/schedstat": "20 0 1\n", "20/task/20/children": "",
		"21/task/21/schedstat": "300 0 1\n", "21/task/21/children": "30 ",
		"30/task/30/schedstat": "4000 0 1\n", "30/task/30/children": "",
	}
	with := func(path, text string) map[string]string {
		files := maps.Clone(threads)
		files[path] = text
		return files
	}
	without := maps.Clone(threads)
	delete(without, "10/task/11/children")
	tests := []struct {
		name  string
		files map[string]string
		want  time.Duration
		err   string // part of it
	}{
		{name: "every thread", files: threads, want: 1200},
		{name: "children and theirs", files: master, want: 4321},
		{name: "another process", files: with("99/task/99/schedstat", "5 5 5\n"), want: 1200},
		{name: "no such process", files: map[string]string{"11/task/11/schedstat": "1 1 1\n"}, err: "got pid 10"},
		{name: "too few numbers", files: with("10/task/11/schedstat", "200\n"), err: "want three numbers"},
		{name: "not a number", files: with("10/task/11/schedstat", "x 1 1\n"), err: "invalid syntax"},
		{name: "not a child", files: with("10/task/11/children", "x "), err: "invalid syntax"},
		{name: "kernel without children", files: without, err: "CONFIG_PROC_CHILDREN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cpuTime(proc(t, tt.files), 10)
			if !matches(err, tt.err) || got != tt.want {
				t.Errorf("cpuTime = %v, %v, want %v, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

// matches reports whether an error has a text in it; with no text, whether there is none.
func matches(err error, part string) bool {
	if err == nil || part == "" {
		return err == nil && part == ""
	}
	return strings.Contains(err.Error(), part)
}

func TestAllowedCores(t *testing.T) {
	tests := []struct {
		status string
		want   []int
		err    string
	}{
		{status: "Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\nMems_allowed:\t1\n", want: []int{0, 1}},
		{status: "Cpus_allowed_list:\t0,2-4,9\n", want: []int{0, 2, 3, 4, 9}},
		{status: "Name:\tx\n", err: "want Linux"},
		{status: "Cpus_allowed_list:\t0-\n", err: "want as 0-3,8"},
	}
	for _, tt := range tests {
		got, err := allowedCores(tt.status)
		if diff := cmp.Diff(tt.want, got); diff != "" || !matches(err, tt.err) {
			t.Errorf("allowedCores(%q): error %v, want %q; %s", tt.status, err, tt.err, diff)
		}
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name        string
		allowed     []int
		n           int
		proxy, load string
		err         string
	}{
		{name: "one of two", allowed: []int{0, 1}, n: 1, proxy: "1", load: "0"},
		{name: "two of two are shared", allowed: []int{0, 1}, n: 2, proxy: "0,1", load: "0,1"},
		{name: "two of five", allowed: []int{1, 2, 3, 5, 8}, n: 2, proxy: "5,8", load: "1,2,3"},
		{name: "more than there are", allowed: []int{0, 1}, n: 3, err: "got 2 cores (want 3 or more)"},
		{name: "a core for two", allowed: []int{4}, n: 1, err: "got 1 cores (want 2 or more)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := split(tt.allowed, tt.n)
			if !matches(err, tt.err) || list(got.proxy) != tt.proxy || list(got.load) != tt.load {
				t.Errorf("split(%v, %d) = %v, %v, want %q and %q, %q", tt.allowed, tt.n, got, err, tt.proxy, tt.load, tt.err)
			}
		})
	}
}
