package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 30 * time.Second

const (
	oneService  = "services:\n  - {name: users, route_pattern: /users, urls: [\"http://localhost:8081\"], middleware: [metrics]}\n"
	twoServices = oneService + "  - {name: orders, route_pattern: /orders, urls: [\"http://localhost:8082\"], middleware: [metrics]}\n"
)

// logs is a handler that hands every record over as text: its message and attributes.
type logs struct{ lines chan string }

func newLogs() *logs { return &logs{make(chan string, 10_000)} }

func (l *logs) Write(line []byte) (int, error) {
	l.lines <- string(bytes.Clone(line))
	return len(line), nil
}

// wait returns the next line with a message.
func (l *logs) wait(t *testing.T, message string) string {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line := <-l.lines:
			if strings.Contains(line, message) {
				return line
			}
		case <-limit:
			t.Fatalf("never logged: %s", message)
		}
	}
}

// running is a control plane under test.
type running struct {
	Addresses
	t      *testing.T
	logs   *logs
	file   string
	reload chan struct{}
	conn   *grpc.ClientConn
	stop   func()
}

// options for a control plane in a folder of its own, on free ports.
func testOptions(t *testing.T, content string) Options {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "gateway.yaml")
	write(t, file, content)
	return Options{Config: file, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Store: "bolt:" + filepath.Join(folder, "data", "controlplane.db"), Version: "test"}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, opts Options) *running {
	t.Helper()
	r := &running{t: t, logs: newLogs(), file: opts.Config, reload: make(chan struct{})}
	started := make(chan Addresses, 1)
	opts.Log = slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.Reload, opts.Started = r.reload, func(a Addresses) { started <- a }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, opts) }()
	select {
	case r.Addresses = <-started:
	case err := <-ended:
		cancel()
		t.Fatalf("Run() = %v", err)
	}
	var err error
	if r.conn, err = grpc.NewClient(r.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
		_ = r.conn.Close()
	}
	t.Cleanup(r.stop)
	return r
}

func (r *running) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *running) status() *gatewayv1.GetConfigStatusResponse {
	r.t.Helper()
	got, err := gatewayv1.NewConfigServiceClient(r.conn).GetConfigStatus(r.ctx(), &gatewayv1.GetConfigStatusRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// welcome connects a data plane and returns its stream and what it is told first.
func (r *running) welcome() (gatewayv1.SyncService_SyncClient, *gatewayv1.Welcome) {
	r.t.Helper()
	stream, err := gatewayv1.NewSyncServiceClient(r.conn).Sync(r.ctx())
	if err != nil {
		r.t.Fatal(err)
	}
	hello := &gatewayv1.Hello{Id: "edge-1", Instance: "one"}
	_ = stream.Send(&gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Hello{Hello: hello}}) // why it failed is what Recv returns
	m, err := stream.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return stream, m.GetWelcome()
}

// dataPlane returns the only one that is known.
func (r *running) dataPlane() *gatewayv1.DataPlane {
	r.t.Helper()
	stream, err := gatewayv1.NewDataPlaneServiceClient(r.conn).ListDataPlanes(r.ctx(), &gatewayv1.ListDataPlanesRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	page, err := stream.Recv()
	if err != nil || len(page.GetDataplanes()) != 1 {
		r.t.Fatalf("data planes = %v, %v, want one", page, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		r.t.Errorf("after the last page: %v", err)
	}
	return page.GetDataplanes()[0]
}

func (r *running) get(path string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx(), http.MethodGet, "http://"+r.HTTP+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}
