package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// witness is a backend that takes whatever it can make sense of, so that a proxy is judged by what it passes on and not by
// what the backend thinks of it, and counts the requests that it got whole. It answers each by an empty 200.
type witness struct {
	reached  atomic.Uint64
	listener net.Listener
}

func newWitness() (*witness, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return &witness{listener: l}, err
}

func (w *witness) address() string { return w.listener.Addr().String() }

// serve returns when ctx has ended and every connection with it.
func (w *witness) serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = w.listener.Close() })()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := w.listener.Accept()
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		open.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			w.answer(conn)
		})
	}
}

// answer ends with the first request that the proxy breaks off, or whose body makes no sense at all. The latter counts: the
// proxy has let it through.
func (w *witness) answer(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		m, err := readLeniently(in)
		if err != nil {
			return
		}
		whole, sense := m.readBody(in)
		if !whole {
			return
		}
		w.reached.Add(1)
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil || m.last || !sense {
			return
		}
	}
}

// framed is what a head says of its body, and whether another request can follow.
type framed struct {
	length        int64
	chunked, last bool
}

func readLeniently(in *bufio.Reader) (framed, error) {
	var f framed
	for first := true; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return f, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" && !first {
			return f, nil
		}
		first = first && line == ""
		name, value, _ := strings.Cut(line, ":")
		value = strings.ToLower(strings.TrimSpace(value))
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "content-length":
			f.length, _ = strconv.ParseInt(value, 10, 64) // what is no number announces no body
		case "transfer-encoding":
			f.chunked = f.chunked || strings.Contains(value, "chunked")
		case "connection":
			f.last = f.last || value == "close"
		}
	}
}

// readBody reports whether there was an end of it, and whether it made sense until there.
func (f framed) readBody(in *bufio.Reader) (whole, sense bool) {
	if !f.chunked {
		_, err := io.CopyN(io.Discard, in, f.length)
		return err == nil, true
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false, false
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 62)
		if err != nil {
			return true, false
		}
		if size == 0 {
			return readToEmptyLine(in), true
		}
		if _, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
			return false, false
		}
		if _, err := in.ReadString('\n'); err != nil {
			return false, false
		}
	}
}

// readToEmptyLine reports whether it came.
func readToEmptyLine(in *bufio.Reader) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.TrimRight(line, "\r\n") == "" {
			return true
		}
	}
}
