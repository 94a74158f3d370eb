package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// memory adds up a line of a file that the kernel keeps of each process, as VmHWM of status, over a process and its children:
// bytes, from a folder as /proc. Most count a page that processes share once for each; Pss of smaps_rollup shares it out.
func memory(proc string, pid int, file, name string) (total uint64, err error) {
	err = family(proc, pid, func(dir string, _ []string) error {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		size, err := sizeOf(string(text), name)
		total += size
		return err
	})
	return total, err
}

// sizeOf reads a line as "Pss:   1234 kB".
func sizeOf(text, name string) (uint64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			size, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
			if err != nil {
				return 0, fmt.Errorf("memory: %s: %w", name, err)
			}
			return size * kib, nil
		}
	}
	return 0, fmt.Errorf("memory: no %s (want a line of it)", name)
}

// raiseFileLimit lets this process and those that it will start open n files, or as many as it may. It returns how many.
func raiseFileLimit(n uint64) (uint64, error) {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return 0, fmt.Errorf("file limit: %w", err)
	}
	for _, try := range []syscall.Rlimit{{Cur: n, Max: max(n, now.Max)}, {Cur: min(n, now.Max), Max: now.Max}} {
		err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &try)
		if err == nil {
			return try.Cur, nil
		}
		if !errors.Is(err, syscall.EPERM) {
			return 0, fmt.Errorf("file limit: %w", err)
		}
	}
	return now.Cur, nil
}
