package main

import (
	"context"
	"io"
	"net"
	"testing"
)

func TestRelayCountsAndEnds(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r, err := newRelay(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	client, err := net.Dial("tcp", r.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	behind, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	pass(t, client, behind, "up")
	pass(t, behind, client, "downwards")
	if up, down := r.up.Load(), r.down.Load(); up != 2 || down != 9 {
		t.Errorf("counted %d up, %d down, want 2 and 9", up, down)
	}
	cancel() // with a connection still open
	if err := <-ended; err != nil {
		t.Errorf("run = %v, want nil", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives the relay")
	}
}

func pass(t *testing.T, from io.Writer, to io.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}
