package main

import "syscall"

// endWithUs keeps the terminal's Ctrl-C from a child and ends it if this program is killed: by SIGTERM, for nginx's master
// then takes its worker along.
func endWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
