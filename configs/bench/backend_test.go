package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestBackend(t *testing.T) {
	here, there := net.Pipe()
	var counts traffic
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		answer(there, "backend-2", &counts)
	}()
	in := bufio.NewReader(here)
	exchanges := []struct {
		name, send string
		first      string // of the body
		length     int
	}{
		{"small", "GET /users HTTP/1.1\r\nHost: a\r\n\r\n", "Hello from the backend-2 ", smallBody},
		{"large", "GET " + bodyPath(mib+1) + " HTTP/1.1\r\nHost: a\r\n\r\n", "xxx", mib + 1},
		{"upload", "POST /users HTTP/1.1\r\ncontent-length: 300000\r\n\r\n" + strings.Repeat("y", 300000), "Hello", smallBody},
	}
	for _, x := range exchanges { // one connection after the other
		t.Run(x.name, func(t *testing.T) {
			if _, err := io.WriteString(here, x.send); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) != x.length || !strings.HasPrefix(string(body), x.first) {
				t.Errorf("got %d bytes, %.20q, %v, want %d, %q", len(body), body, err, x.length, x.first)
			}
		})
	}
	here.Close()
	<-ended
	if got, want := counts.bytes.Load(), uint64(smallBody+mib+1+300000+smallBody); got != want {
		t.Errorf("counted %d bytes, want %d", got, want)
	}
}

func TestBackendRefusesNonsense(t *testing.T) {
	for _, send := range []string{"GET /users/bytes/x HTTP/1.1\r\n\r\n", "POST /users HTTP/1.1\r\nContent-Length: x\r\n\r\n"} {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			answer(there, "backend-1", new(traffic))
		}()
		_, _ = io.WriteString(here, send) // it may hang up before the end
		if got, err := io.ReadAll(here); err != nil || len(got) > 0 {
			t.Errorf("%q: got %q, %v, want the end of the connection", send, got, err)
		}
		here.Close()
	}
}

// Backends end with their standard input.
func TestRunBackend(t *testing.T) {
	stdin, hold := io.Pipe()
	stdout, out := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- runBackend(stdin, out) }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addresses := strings.Fields(line)
	if len(addresses) != 3 {
		t.Fatalf("got %q, want three addresses", line)
	}
	b := &bed{counter: addresses[2]}
	if moved, err := b.moved(t.Context()); moved != 0 || err != nil {
		t.Errorf("moved = %d, %v, want 0", moved, err)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}
