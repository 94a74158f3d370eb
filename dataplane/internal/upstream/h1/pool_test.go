package h1

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func settings() Settings {
	return Settings{MaxIdle: 10, MaxIdlePerHost: 5, IdleTimeout: time.Minute, ConnectTimeout: time.Second, TLSHandshakeTimeout: time.Second}
}

func newTestPool(t *testing.T, s Settings) *Pool {
	t.Helper()
	p := NewPool(s, nil)
	t.Cleanup(p.Close)
	return p
}

// peers accepts connections and hands them to the test.
func peers(t *testing.T) (addr string, accepted func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	conns := make(chan net.Conn, 100)
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
	})
	return l.Addr().String(), func() net.Conn {
		conn := <-conns
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

func connect(t *testing.T, h *Host) *Conn {
	t.Helper()
	c, err := h.Connect(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestLastUsedFirst(t *testing.T) {
	addr, _ := peers(t)
	p := newTestPool(t, settings())
	h := p.Host(nil, "http", addr, nil)
	a, b := connect(t, h), connect(t, h)
	if a.Reused || h.Idle() != nil {
		t.Error("a new connection is no reused one, and not idle")
	}
	a.Put()
	b.Put()
	if first, second := h.Idle(), h.Idle(); first != b || second != a || !a.Reused || h.Idle() != nil {
		t.Error("connections came back in another order than last in, first out")
	}
}

// TestLook: what the peer did to an idle connection decides whether it is used again, with either way to look.
func TestLook(t *testing.T) {
	tests := []struct {
		name string
		peer func(net.Conn) error
		want bool
	}{
		{"nothing", func(net.Conn) error { return nil }, true},
		{"closed", func(c net.Conn) error { return c.Close() }, false},
		{"half closed", func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() }, false},
		{"reset", func(c net.Conn) error { return errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()) }, false},
		{"unasked byte", func(c net.Conn) error { _, err := c.Write([]byte{'x'}); return err }, false},
	}
	for _, tt := range tests {
		for _, portable := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				addr, accepted := peers(t)
				h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
				c := connect(t, h)
				if portable {
					c.probe = nil
				}
				c.Put()
				if err := tt.peer(accepted()); err != nil {
					t.Fatal(err)
				}
				if !tt.want {
					arrived(t, c)
				}
				if got := h.Idle() == c; got != tt.want {
					t.Errorf("used again, portable=%v: %v, want %v", portable, got, tt.want)
				}
			})
		}
	}
}

// TestLookAfterADeadline: a deadline that has passed says nothing about the connection.
func TestLookAfterADeadline(t *testing.T) {
	addr, _ := peers(t)
	h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
	c := connect(t, h)
	if err := c.raw.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	c.Put()
	if h.Idle() != c {
		t.Error("a connection whose deadline has passed was not used again")
	}
}

func TestLimits(t *testing.T) {
	addr, _ := peers(t)
	other, _ := peers(t)
	s := settings()
	s.MaxIdle, s.MaxIdlePerHost = 5, 3
	p := newTestPool(t, s)
	for _, a := range []string{addr, other} {
		h := p.Host(nil, "http", a, nil)
		conns := make([]*Conn, 4)
		for i := range conns {
			conns[i] = connect(t, h)
		}
		for _, c := range conns {
			c.Put()
		}
		if h.idle[len(h.idle)-1] != conns[3] {
			t.Errorf("%s: the one used last is not kept", a)
		}
		if _, err := conns[0].Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: write to the one used first = %v, want it closed", a, err)
		}
	}
	one, two := len(p.Host(nil, "http", addr, nil).idle), len(p.Host(nil, "http", other, nil).idle)
	if one != 3 || two != 2 || p.Idle() != 5 {
		t.Errorf("idle = %d, %d, together %d; want 3, 2, 5", one, two, p.Idle())
	}
}

// pipe is a connection that needs no network.
func pipe(t *testing.T, h *Host) *Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	c := newConn(near)
	c.host = h
	return c
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(settings(), nil)
		defer p.Close()
		slot := new(Slot)
		h := p.Host(slot, "http", "a", nil)
		old, used := pipe(t, h), pipe(t, h)
		old.Put()
		used.Put()
		for range 5 { // one of them works on
			time.Sleep(14 * time.Second) // the bubble's clock
			if h.Idle() != used {
				t.Fatal("the connection that was used last is gone")
			}
			used.Put()
		}
		synctest.Wait()
		if p.Idle() != 2 {
			t.Errorf("idle after 70 s = %d, want both: 75 s is the bound", p.Idle())
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if p.Idle() != 1 {
			t.Errorf("idle after 76 s = %d, want the one in use", p.Idle())
		}
		if _, err := old.raw.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("read of the old one = %v, want it closed", err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if p.Idle() != 0 || !h.gone.Load() {
			t.Errorf("idle, gone = %d, %v after a long time; want 0, true", p.Idle(), h.gone.Load())
		}
		if again := p.Host(slot, "http", "a", nil); again == h || again.gone.Load() || p.Host(slot, "http", "a", nil) != again {
			t.Error("a host that was forgotten is remembered")
		}
		late := pipe(t, h)
		late.Put()
		if p.Idle() != 0 {
			t.Error("a forgotten host took a connection")
		}
	})
}

func TestUpdateCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(settings(), nil)
		defer p.Close()
		h := p.Host(nil, "http", "a", nil)
		pipe(t, h).Put()
		s := settings()
		s.IdleTimeout = time.Second
		p.Update(s)
		time.Sleep(2 * time.Second) // the bubble's clock
		synctest.Wait()
		if p.Idle() != 0 {
			t.Error("the connection outlived its new time")
		}
	})
}

func TestClosedPoolKeepsNothing(t *testing.T) {
	addr, _ := peers(t)
	p := NewPool(settings(), nil)
	h := p.Host(nil, "http", addr, nil)
	idle, busy := connect(t, h), connect(t, h)
	idle.Put()
	p.Close()
	p.Close()
	busy.Put()
	late := p.Host(nil, "http", "b", nil)
	pipe(t, late).Put()
	if p.Idle() != 0 || h.Idle() != nil {
		t.Errorf("idle = %d, want 0", p.Idle())
	}
	if _, err := busy.raw.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write on what was put back = %v, want it closed", err)
	}
}

func TestInterruptedIsNotKept(t *testing.T) {
	addr, _ := peers(t)
	h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
	c := connect(t, h)
	c.Interrupt(io.ErrClosedPipe)
	c.Put()
	if h.Idle() != nil {
		t.Error("an interrupted connection was kept")
	}
}

// TestPoolConcurrently is for the race detector, and for the count to come out right.
func TestPoolConcurrently(t *testing.T) {
	p := NewPool(settings(), nil)
	defer p.Close()
	slot := new(Slot)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				h := p.Host(slot, "http", "a", nil)
				c := h.Idle()
				if c == nil {
					near, far := net.Pipe()
					_ = far.Close()
					c = newConn(near)
					c.host = h
				}
				c.Put()
				p.look()
			}
		})
	}
	wg.Wait()
	n := 0
	for _, h := range p.hosts {
		n += len(h.idle)
	}
	if p.Idle() != n {
		t.Errorf("idle = %d, want %d", p.Idle(), n)
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ scheme, host, addr, name string }{
		{"http", "a", "a:80", ""},
		{"https", "a", "a:443", "a"},
		{"https", "a:8443", "a:8443", "a"},
		{"http", "[::1]", "[::1]:80", ""},
		{"https", "[::1]:1", "[::1]:1", "::1"},
		{"http", "a:", "a:80", ""},
	} {
		h := newHost(NewPool(settings(), nil), hostKey{scheme: tt.scheme, host: tt.host})
		name := ""
		if h.tls != nil {
			name = h.tls.ServerName
		}
		if h.addr != tt.addr || name != tt.name {
			t.Errorf("%s://%s = %s, name %q; want %s, %q", tt.scheme, tt.host, h.addr, name, tt.addr, tt.name)
		}
	}
}
