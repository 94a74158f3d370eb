package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"apigateway/configs/conformance"
)

// serveWitness runs a witness for the test.
func serveWitness(t *testing.T) *witness {
	t.Helper()
	w, err := newWitness()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// A proxy that takes everything is found out: the witness itself.
func TestAskFindsLeniency(t *testing.T) {
	w := serveWitness(t)
	tests := []struct {
		name, send, statuses, saw string
		class                     conformance.Class
		wrong                     bool
	}{
		{name: "legal", class: conformance.Legal, send: "GET / HTTP/1.1\r\n\r\n", statuses: "200", saw: "GET / a"},
		{name: "not enough answers", class: conformance.Legal, send: "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", statuses: "200 200", wrong: true},
		{name: "malformed", send: "GET / HTTP/1.1\nX : y\r\n\r\n", statuses: "400", wrong: true},
		{name: "malformed body", send: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", statuses: "400", wrong: true},
		{name: "the second malformed", send: strings.Repeat("GET / HTTP/1.1\r\n\r\n", 2), statuses: "200 400", saw: "GET / a", wrong: true},
		{name: "the second not taken", send: "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", statuses: "200 400", saw: "GET / a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := conformance.Message{Class: tt.class, Send: tt.send, Statuses: tt.statuses, Saw: tt.saw}
			v, err := ask(t.Context(), w.address(), m, w.reached.Load)
			if err != nil || v.wrong(m) != tt.wrong {
				t.Errorf("ask = %+v, %v, wrong %v, want %v", v, err, v.wrong(m), tt.wrong)
			}
		})
	}
}

// Passing on counts, whatever the client was told.
func TestReachedIsWrong(t *testing.T) {
	m := conformance.Message{Class: conformance.Malformed, Statuses: "200 400", Saw: "GET / a"}
	for reached, want := range map[uint64]bool{0: false, 1: false, 2: true} {
		if got := (verdict{statuses: []int{200, 502}, reached: reached}).wrong(m); got != want {
			t.Errorf("with %d passed on: wrong %v, want %v", reached, got, want)
		}
	}
}

// What the witness makes of a request's framing.
func TestWitnessReads(t *testing.T) {
	tests := []struct {
		name, send   string
		whole, sense bool
		left         string
	}{
		{"no body", "\r\nGET / HTTP/1.1\n\nrest", true, true, "rest"},
		{"length", "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabcrest", true, true, "rest"},
		{"half a body", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", false, true, ""},
		{"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n3 ;x\r\nabc\n0\r\nX: y\r\n\r\nrest", true, true, "rest"},
		{"half a chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", false, false, ""},
		{"no last line", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", false, true, ""},
		{"nonsense", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nrest", true, false, "rest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := bufio.NewReader(strings.NewReader(tt.send))
			f, err := readLeniently(in)
			if err != nil {
				t.Fatal(err)
			}
			whole, sense := f.readBody(in)
			left, err := io.ReadAll(in)
			if whole != tt.whole || sense != tt.sense || string(left) != tt.left || err != nil {
				t.Errorf("whole %v, sense %v, left %q, want %v, %v, %q", whole, sense, left, tt.whole, tt.sense, tt.left)
			}
		})
	}
}

// Interim answers are none, and a refusal without an answer is one.
func TestReadStatus(t *testing.T) {
	for text, want := range map[string]int{
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab": 200,
		"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno":                     400,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n":    200,
		"": 0,
	} {
		here, there := net.Pipe()
		go func() {
			_, _ = io.WriteString(there, text)
			_ = there.Close()
		}()
		if got, err := readStatus(bufio.NewReader(here), "GET"); got != want || (err == nil) != (want > 0) {
			t.Errorf("readStatus(%q) = %d, %v, want %d", text, got, err, want)
		}
		_ = here.Close()
	}
}
