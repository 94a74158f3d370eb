package configs

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// network carries connections to an address, badly while it is bad: it delays, cuts in the middle of a message, and resets.
type network struct {
	address string
	target  string
	bad     atomic.Bool
	faults  atomic.Int64 // connections that were ended

	listener net.Listener
	done     sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	closed   bool
}

// newNetwork starts one that is good, on a port of its own.
func newNetwork(t *testing.T, target string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{address: l.Addr().String(), target: target, listener: l, open: map[net.Conn]struct{}{}}
	n.done.Go(n.accept)
	t.Cleanup(n.close)
	return n
}

func (n *network) accept() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.done.Go(func() { n.carry(conn) })
	}
}

// close ends every connection.
func (n *network) close() {
	_ = n.listener.Close()
	n.mu.Lock()
	n.closed = true
	for c := range n.open {
		_ = c.Close()
	}
	n.mu.Unlock()
	n.done.Wait()
}

func (n *network) hold(c net.Conn) (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[c] = struct{}{}
	if n.closed {
		_ = c.Close()
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.open, c)
		_ = c.Close()
	}
}

// carry joins a connection with one to the target until either ends.
func (n *network) carry(client net.Conn) {
	defer n.hold(client)()
	server, err := net.Dial("tcp", n.target)
	if err != nil {
		return
	}
	defer n.hold(server)()
	var both sync.WaitGroup
	both.Go(func() { n.copy(server, client) })
	both.Go(func() { n.copy(client, server) })
	both.Wait()
}

// copy carries one direction, and ends both.
func (n *network) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	const far = 1 << 30
	left := far // bytes until a fault
	for {
		size := len(buf)
		if !n.bad.Load() {
			left = far
		} else {
			left = min(left, rand.IntN(30_000))
			size = 1 + rand.IntN(200)
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		}
		read, err := from.Read(buf[:size])
		if n.bad.Load() && left < read { // what was read reaches the other side in part, or with the end of everything
			n.faults.Add(1)
			if rand.IntN(2) == 0 {
				_ = to.(*net.TCPConn).SetLinger(0)
			}
			_, _ = to.Write(buf[:left])
			return
		}
		left = max(0, left-read) // it may have become good
		if _, werr := to.Write(buf[:read]); err != nil || werr != nil {
			return
		}
	}
}
