package http1

import (
	"io"
	"testing"
)

// A connection that has nothing to say has no buffer, and gets one again when it has.
func TestWaitingNeedsNoBuffer(t *testing.T) {
	l := listen(t)
	client := dial(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	defer func() { _ = l.Close() }()
	in := &input{deadline: deadline{nc: nc, clock: newClock()}}
	in.prepare(nc, false)
	if err := in.raw.Control(func(fd uintptr) {
		if in.try(fd) || in.buf != nil {
			t.Errorf("nothing to read: %d bytes in a buffer of %d, want neither", in.w, len(in.buf))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "abc"); err != nil {
		t.Fatal(err)
	}
	if err := in.await(); err != nil || string(in.bytes()) != "abc" {
		t.Errorf("await: %q, %v, want abc", in.bytes(), err)
	}
}
