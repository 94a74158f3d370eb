package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// child is one running process. Its goroutine ends with the process; whoever started it waits on ended.
type child struct {
	spec
	cmd   *exec.Cmd
	out   *output
	ended chan struct{} // closed once the process is gone and its output written
}

// start runs s. Once the process has ended it is sent to gone, which must have room.
func start(s spec, to *console, gone chan<- *child) (*child, error) {
	c := &child{spec: s, out: &output{name: s.name, console: to}, ended: make(chan struct{})}
	c.cmd = exec.Command(s.argv[0], s.argv[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out // the same writer: one pipe, the order of lines is kept
	c.cmd.SysProcAttr = ownGroup()
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	go func() {
		_ = c.cmd.Wait() // how it ended stands in ProcessState
		c.out.flush()
		close(c.ended)
		gone <- c
	}()
	return c, nil
}

// terminate asks the process to end; where signals do not exist it is killed.
func (c *child) terminate() {
	if c.cmd.Process.Signal(syscall.SIGTERM) != nil {
		c.kill()
	}
}

// kill may come too late: the process is gone then, which is all that is wanted.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

// byHand reports whether somebody stopped the process, rather than it failing. Valid once it has ended.
func (c *child) byHand() bool {
	return c.cmd.ProcessState.Success() || !c.cmd.ProcessState.Exited()
}

// failure says which process ended and how, with the last that it said. Valid once it has ended.
func (c *child) failure() error {
	var said strings.Builder
	for _, line := range c.out.last {
		said.WriteString("\n    " + line)
	}
	if said.Len() == 0 {
		return fmt.Errorf("%s ended: %s, without a word", c.name, c.cmd.ProcessState)
	}
	return fmt.Errorf("%s ended: %s; its last lines:%s", c.name, c.cmd.ProcessState, &said)
}
