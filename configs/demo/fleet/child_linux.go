package main

import "syscall"

const exe = ""

// ownGroup keeps the terminal's Ctrl-C from the process, and kills it if this program is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
