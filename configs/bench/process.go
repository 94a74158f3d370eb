package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience bounds what should take a moment.
const patience = 10 * time.Second

// process is a child on cores of its own. Its output goes to a file, for the case that it fails.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
	err   error // valid once ended
}

// launch is what to run and where.
type launch struct {
	name  string
	cores []int
	env   []string // beside our own
	argv  []string
	stdin io.Reader
	dir   string // of its log
}

func (l launch) start() (*process, error) {
	log, err := os.CreateTemp(l.dir, l.name+"-*.log")
	if err != nil {
		return nil, err
	}
	p := &process{name: l.name, log: log, ended: make(chan struct{})}
	p.cmd = exec.Command("taskset", append([]string{"-c", list(l.cores)}, l.argv...)...)
	p.cmd.Env = append(os.Environ(), l.env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = l.stdin, log, log
	p.cmd.SysProcAttr = endWithUs()
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", l.name, err), log.Close())
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop asks the process to end, kills it if it does not, and returns when it is gone.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // likewise; it leads a group, with its children in it
		<-p.ended
	}
	return p.log.Close()
}

// said is what the process has written last.
func (p *process) said() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// await calls done until it returns no error, the process has ended or patience has.
func (p *process) await(ctx context.Context, done func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %w: %s", p.name, errors.Join(p.err, err), p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.name, err, p.said())
		case <-tick.C:
		}
	}
}
