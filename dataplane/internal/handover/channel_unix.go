//go:build unix

package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// channel is one side's end of an exchange.
type channel struct{ conn *net.UnixConn }

// send writes a message, with sockets if there are any.
func (c *channel) send(m message, sockets ...net.Listener) error {
	m.Version = version
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	rights, err := descriptors(sockets)
	if err != nil {
		return err
	}
	defer rights.close()
	if err := c.conn.SetWriteDeadline(time.Now().Add(unhurried.step)); err != nil {
		return err
	}
	_, _, err = c.conn.WriteMsgUnix(append(line, '\n'), rights.encode(), nil)
	return err
}

// receive returns the other side's next message, which has to be step, and the descriptors that came with it, at most want.
func (c *channel) receive(step string, within time.Duration, want int) (message, files, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return message{}, nil, err
	}
	line, got, err := c.line(want)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no %q within %v", step, within)
	}
	var m message
	if err == nil {
		m, err = parse(line, step)
	}
	if err == nil && len(got) != want {
		err = fmt.Errorf("%q: got %d sockets (want %d)", step, len(got), want)
	}
	if err != nil {
		got.close()
		return message{}, nil, err
	}
	return m, got, nil
}

// line reads up to a line's end. The other side waits for the answer, so nothing follows.
func (c *channel) line(want int) (line []byte, got files, err error) {
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*want))
	for {
		n, oobn, flags, _, err := c.conn.ReadMsgUnix(buf[len(line):], oob)
		more, bad := received(oob[:max(0, oobn)]) // both are -1 after an error
		got, line = append(got, more...), buf[:len(line)+max(0, n)]
		switch {
		case err == nil && bad != nil:
			return nil, got, bad
		case err == nil && want > 0 && flags&unix.MSG_CTRUNC != 0:
			return nil, got, errors.New("more sockets than expected")
		case bytes.IndexByte(line, '\n') >= 0:
			return line, got, nil
		case err != nil:
			return nil, got, err
		case n == 0:
			return nil, got, io.EOF
		case len(line) == len(buf):
			return nil, got, fmt.Errorf("message too long, got over %d bytes", maxMessage)
		}
	}
}

func parse(line []byte, step string) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("no message of a hand-over, got %.40q: %w", line, err)
	}
	switch {
	case m.Step == stepRefused:
		return m, &refusedError{m.Error}
	case m.Version != version:
		return m, fmt.Errorf("version of the hand-over: got %d (want %d)", m.Version, version)
	case m.Step != step:
		return m, fmt.Errorf("got step %q (want %q)", m.Step, step)
	}
	return m, nil
}

// refusedError is what the other side said.
type refusedError struct{ reason string }

// Error is one line, whatever was said.
func (e *refusedError) Error() string {
	return "refused: " + strings.Join(strings.Fields(e.reason), " ")
}

// files are descriptors that are ours to close.
type files []*os.File

func (f files) close() {
	for _, file := range f {
		_ = file.Close() // a copy
	}
}

// encode makes the control message that carries f.
func (f files) encode() []byte {
	if len(f) == 0 {
		return nil
	}
	numbers := make([]int, len(f))
	for i, file := range f {
		raw, err := file.SyscallConn()
		if err != nil {
			return nil // closed, which it is not
		}
		_ = raw.Control(func(fd uintptr) { numbers[i] = int(fd) }) // Fd would make the shared socket a blocking one
	}
	return unix.UnixRights(numbers...)
}

// descriptors copies those of listeners.
func descriptors(sockets []net.Listener) (out files, err error) {
	for _, l := range sockets {
		socket, ok := l.(interface{ File() (*os.File, error) })
		if !ok {
			out.close()
			return nil, fmt.Errorf("%s: a %T cannot be handed over", l.Addr(), l)
		}
		file, err := socket.File()
		if err != nil {
			out.close()
			return nil, err
		}
		out = append(out, file)
	}
	return out, nil
}

// received takes descriptors out of control messages.
func received(oob []byte) (out files, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		numbers, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return out, err
		}
		for _, fd := range numbers {
			out = append(out, os.NewFile(uintptr(fd), "socket of a hand-over"))
		}
	}
	return out, nil
}

// listeners makes listening sockets of descriptors.
func listeners(got files) (out []net.Listener, err error) {
	for _, file := range got {
		l, err := net.FileListener(file) // a copy of its own
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("no listening socket: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(sockets []net.Listener) {
	for _, l := range sockets {
		_ = l.Close() // this process's copy
	}
}

// gone reports whether err means that the other process has closed or ended.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
