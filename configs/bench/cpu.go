package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// procFolder is where the kernel tells about processes.
const procFolder = "/proc"

// cpuTime is how long the threads of a process and of its children have run, to the nanosecond. What threads used that have ended
// is not in it; nobody's here come and go.
func cpuTime(proc string, pid int) (time.Duration, error) {
	var total time.Duration
	err := family(proc, pid, func(_ string, tasks []string) error {
		for _, task := range tasks {
			ran, err := schedstat(task)
			if err != nil {
				return err
			}
			total += ran
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, nil
}

// family calls visit with the folder of a process and those of its threads, then for each of its children likewise, and theirs.
func family(proc string, pid int, visit func(dir string, tasks []string) error) error {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	tasks, err := filepath.Glob(filepath.Join(dir, "task", "*"))
	if err != nil || len(tasks) == 0 {
		return errors.Join(err, fmt.Errorf("cpu: no process, got pid %d (want one that runs, on Linux)", pid))
	}
	if err := visit(dir, tasks); err != nil {
		return err
	}
	for _, task := range tasks {
		children, err := childrenOf(task)
		if err != nil {
			return err
		}
		for _, child := range children {
			if err := family(proc, child, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// schedstat reads "time on a CPU, time waiting for one, times put on one", the first two in nanoseconds.
func schedstat(task string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(task, "schedstat"))
	if err != nil {
		return 0, fmt.Errorf("cpu: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) != 3 {
		return 0, fmt.Errorf("cpu: %s/schedstat: got %q (want three numbers)", task, text)
	}
	ran, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cpu: %s/schedstat: %w", task, err)
	}
	return time.Duration(ran), nil
}

// childrenOf lists the processes that a thread has started. A kernel that cannot say so has no such file: an error, for nginx's
// worker is a child.
func childrenOf(task string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(task, "children"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cpu: %w (want a kernel with CONFIG_PROC_CHILDREN)", err)
	} else if err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("cpu: %s/children: %w", task, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// allowedCores reads which cores this process may use.
func allowedCores(status string) ([]int, error) {
	for line := range strings.Lines(status) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return parseCores(strings.TrimSpace(list))
		}
	}
	return nil, errors.New("cpu: no Cpus_allowed_list in /proc/self/status (want Linux)")
}

// parseCores reads a list as 0-3,8.
func parseCores(list string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("cpu: list of cores: got %q (want as 0-3,8): %w", list, err)
		}
		for core := low; core <= high; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// cores says who may run where.
type cores struct{ proxy, load []int }

// split gives proxies the last n of the allowed cores and the rest to everything else; with no rest, that has all of them too.
func split(allowed []int, n int) (cores, error) {
	if len(allowed) < max(n, 2) {
		return cores{}, fmt.Errorf("cpu: got %d cores (want %d or more)", len(allowed), max(n, 2))
	}
	at := len(allowed) - n
	c := cores{proxy: allowed[at:], load: allowed[:at]}
	if at == 0 {
		c.load = allowed
	}
	return c, nil
}

// list writes cores as taskset reads them.
func list(cores []int) string {
	var out []string
	for _, c := range cores {
		out = append(out, strconv.Itoa(c))
	}
	return strings.Join(out, ",")
}
