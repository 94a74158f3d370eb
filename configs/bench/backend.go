package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// backendCommand makes this program the backends.
const backendCommand = "backends"

// runBackend serves two backends and a count of what they did until stdin ends, and writes the three addresses in a line.
//
// A backend is as cheap as it can be, for it shares cores with the load generator: it reads no more of a request than its
// first line, Content-Length and length, and answers HTTP/1.1 with keep-alive only.
func runBackend(stdin io.Reader, stdout io.Writer) int {
	var counts traffic
	serve := []func(net.Conn){
		func(c net.Conn) { answer(c, "backend-1", &counts) },
		func(c net.Conn) { answer(c, "backend-2", &counts) },
		func(c net.Conn) { fmt.Fprintf(c, "%d\n", counts.bytes.Load()) },
	}
	var addresses []string
	for _, handle := range serve {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Fprintln(os.Stderr, "backend:", err)
			return 1
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					handle(conn)
				}()
			}
		}()
	}
	fmt.Fprintln(stdout, strings.Join(addresses, " "))
	_, _ = io.Copy(io.Discard, stdin) // whatever ends it, it has ended
	return 0
}

// traffic is what the backends did.
type traffic struct{ bytes atomic.Uint64 }

// bodyPath asks for a body of that length.
func bodyPath(length int64) string {
	if length == smallBody {
		return "/users"
	}
	return fmt.Sprintf("/users/bytes/%d", length)
}

// body is what large answers consist of.
var body = bytes.Repeat([]byte("x"), 256<<10)

// answer serves one connection until it breaks or sends what a proxy would not.
func answer(conn net.Conn, name string, counts *traffic) {
	hello := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%-*s\n", smallBody, smallBody-1, "Hello from the "+name)
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		head, ok := readHead(in)
		if !ok {
			return
		}
		if n := head.contentLength; n > 0 && !count(counts, n, func(piece int64) (int64, error) { return io.CopyN(io.Discard, in, piece) }) {
			return
		}
		if head.answer == smallBody {
			if _, err := conn.Write(hello); err != nil {
				return
			}
			counts.bytes.Add(smallBody)
			continue
		}
		first := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", head.answer)
		if _, err := conn.Write(first); err != nil {
			return
		}
		if !count(counts, head.answer, func(piece int64) (int64, error) {
			n, err := conn.Write(body[:piece])
			return int64(n), err
		}) {
			return
		}
	}
}

// count moves n bytes in pieces and counts each as it goes. It reports whether all went.
func count(counts *traffic, n int64, move func(piece int64) (int64, error)) bool {
	for n > 0 {
		moved, err := move(min(n, int64(len(body))))
		counts.bytes.Add(uint64(moved))
		if err != nil {
			return false
		}
		n -= moved
	}
	return true
}

// head is all that a backend wants to know.
type head struct{ answer, contentLength int64 }

// readHead reads a head. It reports false at the end of the connection, or if there is no sense in what was sent.
func readHead(in *bufio.Reader) (head, bool) {
	first, err := in.ReadSlice('\n')
	if err != nil {
		return head{}, false
	}
	h := head{answer: smallBody}
	if _, after, ok := bytes.Cut(first, []byte("/bytes/")); ok {
		digits, _, _ := bytes.Cut(after, []byte(" "))
		if h.answer, err = strconv.ParseInt(string(digits), 10, 64); err != nil {
			return h, false
		}
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return h, false
		}
		if len(line) <= 2 {
			return h, true
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")) {
			if h.contentLength, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return h, false
			}
		}
	}
}
