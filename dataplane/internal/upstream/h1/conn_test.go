package h1

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// patient is an owner who counts how often it is asked, and gives up after some times.
type patient struct {
	asked, most int
}

var errEnough = errors.New("enough")

func (p *patient) Late(now time.Time) (time.Time, error) {
	if p.asked++; p.asked > p.most {
		return now, errEnough
	}
	return now.Add(time.Millisecond), nil
}

// TestOwnerIsAsked: a deadline that passes ends nothing by itself, in either direction.
func TestOwnerIsAsked(t *testing.T) {
	addr, accepted := peers(t)
	h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
	c := connect(t, h)
	_ = accepted()
	for name, wait := range map[string]func() error{
		"read":  func() error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func() error { _, err := c.Write(make([]byte, 64<<20)); return err }, // more than the system buffers
	} {
		now := time.Now()
		p := &patient{most: 3}
		if err := c.Use(p, now, now.Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if err := wait(); !errors.Is(err, errEnough) || p.asked != 4 {
			t.Errorf("%s: %v after %d questions, want %v after 4", name, err, p.asked, errEnough)
		}
	}
}

// TestDeadlineIsKept: a deadline that is good enough is not set anew.
func TestDeadlineIsKept(t *testing.T) {
	near := &counted{}
	c := newConn(near)
	now := time.Now()
	far := now.Add(time.Hour)
	for _, step := range []struct {
		at   time.Duration
		sets int64
	}{{0, 1}, {time.Millisecond, 1}, {400 * time.Millisecond, 1}, {401 * time.Millisecond, 2}, {time.Second, 3}} {
		if err := c.Use(&patient{}, now.Add(step.at), far); err != nil || near.sets.Load() != step.sets {
			t.Errorf("at %v: %d deadlines set, %v; want %d", step.at, near.sets.Load(), err, step.sets)
		}
	}
	if err := c.Use(&patient{}, now.Add(time.Second), now.Add(time.Second+time.Millisecond)); err != nil || near.sets.Load() != 4 {
		t.Errorf("for a nearer one: %d set, want it set", near.sets.Load())
	}
}

// counted counts deadlines.
type counted struct {
	script
	sets atomic.Int64
}

func (c *counted) SetDeadline(time.Time) error {
	c.sets.Add(1)
	return nil
}

func TestInterrupt(t *testing.T) {
	addr, accepted := peers(t)
	h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
	c := connect(t, h)
	_ = accepted()
	if err := c.Use(&patient{most: 1000}, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	go c.Interrupt(errEnough)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, errEnough) {
		t.Errorf("read = %v, want the cause", err)
	}
	c.Interrupt(io.EOF)
	if _, err := c.Write([]byte{1}); !errors.Is(err, errEnough) {
		t.Errorf("write = %v, want the first cause", err)
	}
}

// taker takes what it may, while somebody interrupts.
type taker struct {
	conn *Conn
	got  bytes.Buffer
}

func (k *taker) ReadFrom(r io.Reader) (int64, error) {
	k.conn.Interrupt(errEnough)
	return k.got.ReadFrom(r)
}

// TestMove: neither a deadline that has passed nor an interruption looks like the taker's failure.
func TestMove(t *testing.T) {
	addr, accepted := peers(t)
	h := newTestPool(t, settings()).Host(nil, "http", addr, nil)
	c := connect(t, h)
	if _, err := accepted().Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.raw.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	k := &taker{conn: c}
	if err := c.Move(k, &io.LimitedReader{R: c.raw, N: 5}); err != nil || k.got.String() != "hello" {
		t.Errorf("moved %q, %v", k.got.String(), err)
	}
	if err := c.Use(&patient{}, time.Now(), time.Now().Add(time.Hour)); !errors.Is(err, errEnough) {
		t.Errorf("Use after Interrupt = %v, want the cause", err)
	}
}
