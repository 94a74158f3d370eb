package h1

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a connection that delivers its bytes in fragments of that many, then ends. It has no deadlines.
type script struct {
	net.Conn
	data     []byte
	fragment int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.fragment)], s.data)
	s.data = s.data[n:]
	return n, nil
}

func (*script) SetDeadline(time.Time) error { return nil }
func (*script) Close() error                { return nil }

// message is a response as it was read.
type message struct {
	Status    int
	Minor     byte
	Fields    [][2]string
	Framing   uint8
	Body      string
	KeepAlive bool // another may follow
}

// readAll reads responses to requests with that method until the connection ends or must not be used again. It returns
// what is left.
func readAll(data []byte, fragment int, method string) (messages []message, rest []byte, err error) {
	s := &script{data: slices.Clone(data), fragment: fragment}
	c := newConn(s)
	for {
		var r Response
		r.Reset(c, make([]byte, 64))
		m, err := readOne(&r, method)
		if err != nil || !m.KeepAlive {
			if err == nil {
				messages = append(messages, m)
			}
			return messages, append(slices.Clone(r.Rest()), s.data...), err
		}
		messages = append(messages, m)
		if s.data = append(slices.Clone(r.Rest()), s.data...); len(s.data) == 0 {
			return messages, nil, nil
		}
	}
}

// readOne reads one message, an interim response being one too.
func readOne(r *Response, method string) (m message, err error) {
	if err := r.ReadHead(); err != nil {
		return m, err
	}
	m = message{Status: r.Head.Status, Minor: r.Head.minor, KeepAlive: r.Head.KeepAlive}
	for _, f := range r.Head.Fields() {
		m.Fields = append(m.Fields, [2]string{f.Name, f.Value})
	}
	if m.Status < 200 {
		m.KeepAlive = m.Status != 101
		return m, nil
	}
	r.Body(method)
	m.Framing = r.framing
	m.KeepAlive = m.KeepAlive && m.Framing != byClose
	for {
		piece, err := r.Next()
		m.Body += string(piece)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		if len(piece) == 0 {
			if err := r.Fill(); err != nil {
				return m, err
			}
		}
	}
}
