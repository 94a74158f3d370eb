package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// Types of frames and their flags (RFC 9113 section 6).
const (
	typeData         = 0
	typeHeaders      = 1
	typeReset        = 3
	typeSettings     = 4
	typePing         = 6
	typeGoAway       = 7
	typeWindowUpdate = 8

	flagEndStream  = 1
	flagAck        = 1
	flagEndHeaders = 4
)

// frame is a frame as it came.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// code is the error code of RST_STREAM and GOAWAY.
func (f frame) code() uint32 {
	if f.kind == typeGoAway {
		return binary.BigEndian.Uint32(f.payload[4:])
	}
	return binary.BigEndian.Uint32(f.payload)
}

// peer is a client that writes frames as it is told to, and reads them on a goroutine of its own.
type peer struct {
	t      *testing.T
	nc     net.Conn
	deaf   atomic.Bool // leaves PING unanswered
	frames chan frame  // but for SETTINGS, PING and WINDOW_UPDATE; closed at the end
}

// newPeer sends preface and SETTINGS.
func newPeer(t *testing.T, nc net.Conn) *peer {
	t.Helper()
	p := &peer{t: t, nc: nc, frames: make(chan frame, 1000)}
	go p.read()
	p.raw([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	p.send(typeSettings, 0, 0, nil)
	p.send(typeSettings, flagAck, 0, nil)
	return p
}

func (p *peer) read() {
	defer close(p.frames)
	for {
		var head [9]byte
		if _, err := io.ReadFull(p.nc, head[:]); err != nil {
			return
		}
		f := frame{kind: head[3], flags: head[4], stream: binary.BigEndian.Uint32(head[5:])}
		f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(p.nc, f.payload); err != nil {
			return
		}
		if f.kind == typePing && f.flags&flagAck == 0 && !p.deaf.Load() {
			p.send(typePing, flagAck, 0, f.payload)
		}
		if f.kind != typeSettings && f.kind != typePing && f.kind != typeWindowUpdate {
			p.frames <- f
		}
	}
}

// raw reports whether the connection still takes bytes.
func (p *peer) raw(b []byte) bool {
	_, err := p.nc.Write(b)
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Error(err)
	}
	return err == nil
}

func (p *peer) send(kind, flags byte, stream uint32, payload []byte) bool {
	n := len(payload)
	b := binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream)
	return p.raw(append(b, payload...))
}

// request sends a head, given as names and values; end says that no body follows.
func (p *peer) request(stream uint32, end bool, fields ...string) {
	flags := byte(flagEndHeaders)
	if end {
		flags |= flagEndStream
	}
	p.send(typeHeaders, flags, stream, block(fields...))
}

// block encodes fields as literals that are in no table (RFC 7541 section 6.2.2).
func block(fields ...string) (b []byte) {
	for i, text := range fields {
		if i%2 == 0 {
			b = append(b, 0)
		}
		b = append(integer(b, len(text)), text...)
	}
	return b
}

// integer appends n with a prefix of 7 bits (RFC 7541 section 5.1).
func integer(b []byte, n int) []byte {
	const most = 1<<7 - 1
	if n < most {
		return append(b, byte(n))
	}
	b = append(b, most)
	for n -= most; n >= 1<<7; n >>= 7 {
		b = append(b, byte(n)|1<<7)
	}
	return append(b, byte(n))
}

// simple is a request that nothing is wrong with.
func simple(more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "example.com"}, more...)
}

// until returns the first frame of a kind, false if none comes before the end.
func (p *peer) until(kind byte) (frame, bool) {
	for f := range p.frames {
		if f.kind == kind {
			return f, true
		}
	}
	return frame{}, false
}
