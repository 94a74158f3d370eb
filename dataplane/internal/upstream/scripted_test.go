package upstream

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// The frames of RFC 9113 section 6 that the scripts below know.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	flagEnd, flagHeaders = 1, 4
)

// script is a backend that speaks HTTP/2 frame by frame.
type script struct {
	url   string
	mu    sync.Mutex
	conns int
}

// count returns how many connections were made to it.
func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// newScript starts a backend whose connections, the first being 1, are served by serve. The preface is done.
func newScript(t *testing.T, settings []byte, serve func(c *scriptConn, n int)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{url: "h2c://" + l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			n := s.conns
			s.mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				c := &scriptConn{Conn: conn, in: bufio.NewReader(conn)}
				c.write(frameSettings, 0, 0, settings)
				if _, err := io.CopyN(io.Discard, c.in, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err == nil {
					serve(c, n)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s
}

// setting is one of a SETTINGS frame.
func setting(id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value)
}

type scriptConn struct {
	net.Conn
	in *bufio.Reader
}

func (c *scriptConn) write(typ, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(typ))
	head = append(head, flags)
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(head, stream), payload...))
}

// next returns the next frame of a type, and false at the end of the connection. PING is answered.
func (c *scriptConn) next(typ byte) (flags byte, stream uint32, payload []byte, ok bool) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return 0, 0, nil, false
		}
		payload = make([]byte, binary.BigEndian.Uint32(head[:4])>>8)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return 0, 0, nil, false
		}
		if head[3] == typ {
			return head[4], binary.BigEndian.Uint32(head[5:]), payload, true
		}
		if head[3] == framePing && head[4] == 0 {
			c.write(framePing, 1, 0, payload)
		}
	}
}

// request awaits the head of a request and returns its stream.
func (c *scriptConn) request() (stream uint32, ok bool) {
	_, stream, _, ok = c.next(frameHeaders)
	return stream, ok
}

// body awaits the whole body of a request, false at the end of the connection.
func (c *scriptConn) body() (body string, ok bool) {
	for {
		flags, _, piece, ok := c.next(frameData)
		if body += string(piece); !ok || flags&flagEnd != 0 {
			return body, ok
		}
	}
}

// headers answers with fields, name and value in turn, as HPACK literals.
func (c *scriptConn) headers(stream uint32, end bool, fields ...string) {
	var block []byte
	for i, text := range fields {
		if i%2 == 0 {
			block = append(block, 0) // never indexed
		}
		block = append(append(block, byte(len(text))), text...)
	}
	flags := byte(flagHeaders)
	if end {
		flags |= flagEnd
	}
	c.write(frameHeaders, flags, stream, block)
}

func (c *scriptConn) reset(stream, code uint32) {
	c.write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func (c *scriptConn) goAway(last, code uint32) {
	c.write(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// wait reads until the connection ends.
func (c *scriptConn) wait() { _, _ = io.Copy(io.Discard, c.in) }

// newScriptedClient is a connection to the gateway on which the client's frames are written one by one.
func newScriptedClient(t *testing.T, g *gateway) *scriptConn {
	t.Helper()
	conn, in := g.send(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	c := &scriptConn{Conn: conn, in: in}
	c.write(frameSettings, 0, 0, nil)
	return c
}
