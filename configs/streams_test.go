package configs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"apigateway/dataplane/proxy"
)

// overHTTP2 is a client that speaks HTTP/2 in cleartext, by prior knowledge.
func overHTTP2(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// request sends a GET with a key and returns its answer once the head is here.
func request(t *testing.T, client *http.Client, url, key string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", key)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s = %d, want 200", url, resp.StatusCode)
	}
	return resp
}

// events opens an event stream that has had its first event.
func events(t *testing.T, client *http.Client, url, key string) io.Reader {
	t.Helper()
	resp := request(t, client, url, key) //nolint:bodyclose // it is closed with the test
	first := make([]byte, len(firstEvent))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != firstEvent {
		t.Fatalf("first event of %s = %q, %v", url, first, err)
	}
	return resp.Body
}

// duplex opens a gRPC call in which one message has gone each way.
func duplex(t *testing.T, conn *grpc.ClientConn) testgrpc.TestService_FullDuplexCallClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exchangeMessages(t, call)
	return call
}

func exchangeMessages(t *testing.T, call testgrpc.TestService_FullDuplexCallClient) {
	t.Helper()
	if err := call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: answers(7)}); err != nil {
		t.Fatal(err)
	}
	if m, err := call.Recv(); err != nil || len(m.GetPayload().GetBody()) != 7 {
		t.Fatalf("message = %v, %v", m, err)
	}
}

// socket opens a WebSocket.
func socket(t *testing.T, p *plane, path string) (io.Writer, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\nX-API-KEY: "+fileKey+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer = %v, %v; want a 101", resp, err)
	}
	_ = resp.Body.Close()
	return conn, in
}

// WebSockets, event streams, long polls and gRPC calls go on when the configuration changes, also that of their own service.
func TestStreamsSurviveReloads(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b, calls := newBackend(t, "backend-1"), newCallee(t, nil)
	file := func(burst int) string {
		settings := fmt.Sprintf("rate_limit_rps: 1000000, rate_limit_burst: %d, first_byte_timeout: 1m", burst)
		return configuration(service("one", guarded, settings, b), grpcService("two", "/two", guarded, settings, strings.Replace(b.url(), "http:", "h2c:", 1)),
			grpcService("calls", testService, guarded, settings, "h2c://"+calls.address)) + fmt.Sprintf("transport: {max_idle: %d}\n", burst)
	}
	f.write(file(1000))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	http2, base := overHTTP2(t), "http://"+p.public
	streams := map[string]io.Reader{
		"HTTP/1.1 to HTTP/1.1": events(t, f.client, base+"/one/stream", fileKey), "HTTP/1.1 to HTTP/2": events(t, f.client, base+"/two/stream", fileKey),
		"HTTP/2 to HTTP/1.1": events(t, http2, base+"/one/stream", fileKey), "HTTP/2 to HTTP/2": events(t, http2, base+"/two/stream", fileKey),
	}
	polls := make(chan error, 2)
	for client, path := range map[*http.Client]string{f.client: "/one/poll", http2: "/two/poll"} {
		go func() { polls <- poll(t.Context(), client, base+path) }()
	}
	for range 2 {
		<-b.polled
	}
	out, in := socket(t, p, "/one/socket")
	call := duplex(t, callWith(t, p, fileKey))
	for i := range 3 {
		f.apply(file(2000 + i))
		exchangeMessages(t, call)
		if _, err := io.WriteString(out, "hello\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := in.ReadString('\n'); err != nil || line != "hello\n" {
			t.Fatalf("WebSocket = %q, %v after %d reloads", line, err, i+1)
		}
	}
	close(b.release)
	for name, stream := range streams {
		if rest, err := io.ReadAll(stream); err != nil || string(rest) != lastEvent {
			t.Errorf("%s: rest of the events = %q, %v; want %q", name, rest, err, lastEvent)
		}
	}
	for range 2 {
		if err := <-polls; err != nil {
			t.Error(err)
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := call.Recv(); err != io.EOF { //nolint:errorlint // gRPC's contract is this very value
		t.Errorf("end of the call = %v, want a clean one", err)
	}
}

// poll waits for an answer.
func poll(ctx context.Context, client *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("X-Api-Key", fileKey)
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != lastEvent {
		return fmt.Errorf("%s = %d %q, %w", url, resp.StatusCode, body, err)
	}
	return nil
}

// Over HTTP/2 too, what is open under a key ends within 5 s of the key's revocation, a call that has no answer yet included, and the backend
// learns of it.
func TestStreamsEndWithTheirKeyOverHTTP2(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b, calls := newBackend(t, "backend-1"), newCallee(t, nil)
	f.write(configuration(service("one", guarded, unlimited, b), grpcService("calls", testService, guarded, unlimited, "h2c://"+calls.address)))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	secret, revision := f.addKey("alice")
	f.expectProof(f.prove(revision, false, patience), "a")
	stream := events(t, overHTTP2(t), "http://"+p.public+"/one/stream", secret)
	conn := callWith(t, p, secret)
	call := duplex(t, conn)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	silent, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx) // the backend answers messages only
	if err != nil {
		t.Fatal(err)
	}
	if err := silent.Send(&testgrpc.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	other := duplex(t, callWith(t, p, fileKey))

	f.expectProof(f.prove(f.revokeKey("alice"), true, patience), "a")
	revoked := time.Now()
	if rest, err := io.ReadAll(stream); err == nil {
		t.Errorf("the event stream ended cleanly behind %q, want it reset", rest)
	}
	if _, err := call.Recv(); err == nil {
		t.Error("the call goes on")
	}
	if _, err := silent.Recv(); err == nil {
		t.Error("the call without an answer goes on")
	}
	if took := time.Since(revoked); took > 5*time.Second {
		t.Errorf("the last stream ended %v after its key", took)
	}
	for range 2 {
		select {
		case <-calls.canceled:
		case <-ctx.Done():
			t.Fatal("the backend did not learn of the end of a call")
		}
	}
	exchangeMessages(t, other)
}

// A client that leaves a call is gone for the backend too, and at the end of a drain what is left is cut.
func TestCallsAreLeftAndCut(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	calls := newCallee(t, nil)
	f.write(configuration(grpcService("calls", testService, guarded, unlimited, "h2c://"+calls.address)))
	f.startControl()
	p := f.startData("a", func(o *proxy.Options) { o.Drain = 100 * time.Millisecond })
	f.awaitServing()
	conn := callWith(t, p, fileKey)
	ctx, leave := context.WithCancel(t.Context())
	call, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exchangeMessages(t, call)
	leave()
	<-calls.canceled
	f.await("the client that left to be counted", func() bool {
		return f.metrics(p)[`gateway_proxy_canceled_total{service="calls"}`] == 1
	})
	last := duplex(t, conn)
	f.end(p)
	if _, err := last.Recv(); status.Code(err) == codes.OK {
		t.Errorf("the last call ended with %v, want it cut", err)
	}
	<-calls.canceled
}

// A call may be silent for longer than any other request may.
func TestSilentCallsLast(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	calls := newCallee(t, nil)
	f.write(configuration(grpcService("calls", testService, guarded, unlimited, "h2c://"+calls.address)) +
		"listener: {body_timeout: 50ms}\ntransport: {first_byte_timeout: 50ms, read_timeout: 50ms}\n")
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call, err := testgrpc.NewTestServiceClient(callWith(t, p, fileKey)).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	silence := answers(1, 1)
	for _, s := range silence {
		s.IntervalUs = 300_000 // before its message: first the head is awaited, then the body
	}
	if err := call.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: silence}); err != nil {
		t.Fatal(err)
	}
	for range silence {
		if _, err := call.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	exchangeMessages(t, call)
}
