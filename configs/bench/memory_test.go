package main

import (
	"maps"
	"syscall"
	"testing"
)

func TestMemory(t *testing.T) {
	tasks := map[string]string{"10/task/10/children": "20 ", "20/task/20/children": ""}
	with := func(first, second string) map[string]string {
		files := maps.Clone(tasks)
		files["10/status"], files["20/status"] = first, second
		return files
	}
	tests := []struct {
		name  string
		files map[string]string
		want  uint64
		err   string
	}{
		{name: "children too", files: with("Name:\tx\nVmHWM:\t    1000 kB\nVmRSS:\t 7 kB\n", "VmHWM:\t      24 kB\n"), want: 1 * mib},
		{name: "not there", files: with("Name:\tx\n", ""), err: "no VmHWM"},
		{name: "no number", files: with("VmHWM:\tmany kB\n", ""), err: "VmHWM: strconv.ParseUint"},
		{name: "no process", files: tasks, err: "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := memory(proc(t, tt.files), 10, "status", "VmHWM")
			if !matches(err, tt.err) || err == nil && got != tt.want {
				t.Errorf("memory = %d, %v, want %d, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestRaiseFileLimit(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	want := before.Max - 10
	if got, err := raiseFileLimit(want); got != want || err != nil {
		t.Errorf("raiseFileLimit = %d, %v, want %d", got, err, want)
	}
}
