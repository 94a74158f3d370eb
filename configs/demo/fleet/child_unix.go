//go:build unix && !linux

package main

import "syscall"

const exe = ""

// ownGroup keeps the terminal's Ctrl-C from the process. Only Linux can kill it with its parent.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
