package configs

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// refusedCall makes a call and returns its status, and what came with it.
func refusedCall(t *testing.T, conn *grpc.ClientConn) (*status.Status, metadata.MD) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var head, trailer metadata.MD
	_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{}, grpc.Header(&head), grpc.Trailer(&trailer))
	return status.Convert(err), metadata.Join(head, trailer)
}

// What the gateway refuses, a gRPC client understands, and metrics count it as they do for anybody else.
func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	dead, calls := newBackend(t, "backend-1"), newCallee(t, nil)
	dead.stop()
	good, bad := "h2c://"+calls.address, "h2c://"+dead.address
	files := map[string]string{
		"calls":   grpcService("calls", testService, "metrics, auth_apikey", unlimited, good),
		"limited": grpcService("limited", testService, "metrics, auth_apikey, rate_limit", "rate_limit_rps: 0.001, rate_limit_burst: 1", good),
		"broken":  grpcService("broken", testService, "metrics, auth_apikey, circuit_breaker", "cb_failure_threshold: 1, cb_reset_timeout_seconds: 3600", bad),
		"nothing": service("nothing", "", "", dead),
	}
	f.write(configuration(files["calls"]))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	known, unknown := callWith(t, p, fileKey), callWith(t, p, "wrong")
	steps := []struct {
		file    string
		conn    *grpc.ClientConn
		code    codes.Code
		message string
		series  string
		header  string // that has to be there
	}{
		{"calls", known, codes.OK, "", `http_request_counter{method="POST",service="calls",status="200"}`, ""},
		{"calls", unknown, codes.Unauthenticated, "Authentication Failed", `http_request_counter{method="POST",service="calls",status="401"}`, ""},
		{"limited", known, codes.OK, "", `http_request_counter{method="POST",service="limited",status="200"}`, ""},
		{"limited", known, codes.ResourceExhausted, "Rate Limit Exceeded", `http_request_counter{method="POST",service="limited",status="429"}`, "retry-after"},
		{"broken", known, codes.Unavailable, "Upstream Error", `http_request_counter{method="POST",service="broken",status="502"}`, ""},
		{"broken", known, codes.Unavailable, "Service Unavailable", `gateway_refused_total{code="breaker_open",service="broken"}`, "retry-after"},
		{"nothing", known, codes.Unimplemented, "Not Found", `gateway_refused_total{code="no_route",service=""}`, ""},
	}
	for i, step := range steps {
		if i > 0 && step.file != steps[i-1].file {
			f.apply(configuration(files[step.file]))
		}
		got, md := refusedCall(t, step.conn)
		if got.Code() != step.code || got.Message() != step.message {
			t.Errorf("%s = %v %q, want %v %q", step.file, got.Code(), got.Message(), step.code, step.message)
		}
		if step.header != "" && len(md[step.header]) == 0 {
			t.Errorf("%s: no %s in %v", step.file, step.header, md)
		}
		f.await(step.series, func() bool { return f.metrics(p)[step.series] == 1 })
	}
}

// A client of HTTP/1.1 is refused alike: the whole answer is its head.
func TestRefusedCallOverHTTP1(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	f.startControl()
	p := f.startData("a")
	f.awaitServing()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.public+"/users", strings.NewReader("message"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc+proto")
	resp, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	got := map[string]string{"status": resp.Status}
	for _, name := range []string{"Content-Type", "Content-Length", "Grpc-Status", "Grpc-Message"} {
		got[name] = resp.Header.Get(name)
	}
	want := map[string]string{
		"status": "200 OK", "Content-Type": "application/grpc", "Content-Length": "0", "Grpc-Status": "16", "Grpc-Message": "Authentication Failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}
