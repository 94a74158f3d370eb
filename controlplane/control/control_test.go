package control

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"apigateway/controlplane/internal/config"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestRun(t *testing.T) {
	r := start(t, testOptions(t, oneService))
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := r.get(path); status != http.StatusOK || body != "ok\n" {
			t.Errorf("%s = %d %q, want 200 ok", path, status, body)
		}
	}
	if status, _ := r.get("/debug/pprof/goroutine?debug=1"); status != http.StatusOK {
		t.Errorf("pprof answers %d", status)
	}
	if got := r.status(); got.GetFile() != r.file || got.GetRevision() != 1 || got.GetErrorAtMs() != 0 {
		t.Errorf("status = %v", got)
	}
	if line := r.logs.wait(t, "control plane started"); !strings.Contains(line, "config="+r.file) || !strings.Contains(line, "store=bolt:"+filepath.Dir(r.file)) {
		t.Errorf("paths are not in full in %s", line)
	}
}

func TestMetrics(t *testing.T) {
	r := start(t, testOptions(t, oneService))
	stream, _ := r.welcome()
	_, body := r.get("/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "controlplane_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, want := range []string{
		`controlplane_revision{part="config"} 1`, `controlplane_revision{part="keys"} 0`, `controlplane_entries{part="config"} 2`,
		`controlplane_entries{part="keys"} 0`, `controlplane_dataplanes{state="lagging"} 1`, `controlplane_dataplanes{state="serving"} 0`,
		`controlplane_drifts_total 0`, `controlplane_config_reload_failures_total 0`, `controlplane_config_error 0`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(body, "unspecified") {
		t.Error("a state that is none has a series")
	}
	_ = stream.CloseSend()
}

func TestReload(t *testing.T) {
	r := start(t, testOptions(t, oneService))
	r.logs.wait(t, "control plane started")
	write(t, r.file, twoServices) // noticed by itself
	r.logs.wait(t, "configuration in force")
	if got := r.status().GetRevision(); got != 2 {
		t.Errorf("revision = %d, want 2", got)
	}
	write(t, r.file, "services: 3\nprot: 1\n")
	r.reload <- struct{}{} // SIGHUP
	for _, want := range []string{":1:11: services: wrong type", ":2:1: prot: unknown field"} {
		if line := r.logs.wait(t, "configuration refused, the previous one stays in force"); !strings.Contains(line, want) {
			t.Errorf("log = %s, want %s", line, want)
		}
	}
	got := r.status()
	if got.GetRevision() != 2 || got.GetErrorAtMs() == 0 || len(got.GetMistakes()) != 2 {
		t.Errorf("status = %v, want revision 2 and two mistakes", got)
	}
	_, body := r.get("/metrics")
	for _, want := range []string{"controlplane_config_error 1", "controlplane_config_reload_failures_total 1"} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.logs.wait(t, "configuration file cannot be read, the configuration stays in force")
	if got := r.status(); got.GetRevision() != 2 || len(got.GetMistakes()) != 1 || !strings.Contains(got.GetMistakes()[0].GetMessage(), "cannot be read: ") {
		t.Errorf("status = %v, want revision 2 and that the file cannot be read", got)
	}
	write(t, r.file, oneService)
	r.reload <- struct{}{}
	r.logs.wait(t, "configuration in force")
	if got := r.status(); got.GetRevision() != 3 || got.GetErrorAtMs() != 0 {
		t.Errorf("status = %v, want revision 3 and no error", got)
	}
}

// A restart with an unchanged file publishes nothing, and the epoch stays.
func TestRestart(t *testing.T) {
	opts := testOptions(t, oneService)
	var before *gatewayv1.Welcome
	for range 2 {
		r := start(t, opts)
		_, now := r.welcome()
		now.TimeUs = 0
		if before == nil {
			before = now
		}
		if now.String() != before.String() || now.GetEpoch() == "" {
			t.Errorf("welcome = %v, want %v", now, before)
		}
		r.stop()
	}
}

// What streams bring to their end reaches the store: whatever keeps it ends after them.
func TestRestartRemembersDataPlanes(t *testing.T) {
	opts := testOptions(t, oneService)
	r := start(t, opts)
	r.welcome()
	joined := r.dataPlane().GetLastSeenAtMs()
	for time.Now().UnixMilli() <= joined {
		runtime.Gosched()
	}
	r.stop()
	r = start(t, opts)
	got := r.dataPlane()
	if got.GetState() != gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED || got.GetLastSeenAtMs() <= joined {
		t.Errorf("after a restart: %v, want it seen after %d, when it joined", got, joined)
	}
}

func TestRunRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"gRPC port taken", func(o *Options) { o.GRPC = address }, "--grpc: address in use by another process, got " + address + " (want a free one)"},
		{"HTTP port taken", func(o *Options) { o.HTTP = address }, "--http: address in use by another process, got " + address + " (want a free one)"},
		{
			"not loopback", func(o *Options) { o.GRPC = "0.0.0.0:0" },
			"--grpc: got 0.0.0.0:0, which is not loopback (want a loopback address, mutual TLS by --tls-cert, or --insecure for plaintext on a network you trust)",
		},
		{
			"every address", func(o *Options) { o.GRPC = ":0" },
			"--grpc: got :0, which is not loopback (want a loopback address, mutual TLS by --tls-cert, or --insecure for plaintext on a network you trust)",
		},
		{"no address", func(o *Options) { o.GRPC = "18000" }, `--grpc: not an address, got "18000" (want host:port)`},
		{"empty address", func(o *Options) { o.GRPC = "" }, `--grpc: not an address, got "" (want host:port)`},
		{"empty HTTP address", func(o *Options) { o.HTTP = "" }, `--http: not an address, got "" (want host:port)`},
		{"unknown store", func(o *Options) { o.Store = "etcd:x" }, `--store: store: unknown URL, got "etcd:x" (want bolt:…)`},
		{"no file", func(o *Options) { o.Config = "/nowhere/gateway.yaml" }, "--config: no such file, got /nowhere/gateway.yaml (want the configuration file: --config FILE, or FILE alone)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := testOptions(t, oneService)
			test.change(&opts)
			if err := Run(t.Context(), opts); err == nil || err.Error() != test.want {
				t.Errorf("Run() = %v, want %s", err, test.want)
			}
			wantNoStore(t, opts)
		})
	}
}

func TestRunRefusesABadFile(t *testing.T) {
	opts := testOptions(t, "services: 3\nprot: 1\n")
	err := Run(t.Context(), opts)
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 2 {
		t.Fatalf("Run() = %v, want both mistakes", err)
	}
	if want := opts.Config + ":2:1: prot: unknown field, did you mean port?"; mistakes[1].String() != want {
		t.Errorf("second mistake = %q, want %q", mistakes[1], want)
	}
	wantNoStore(t, opts)
}

// wantNoStore checks that a start that failed made no store, which would be an empty one that nobody asked for.
func wantNoStore(t *testing.T, opts Options) {
	t.Helper()
	if _, err := os.Stat(strings.TrimPrefix(opts.Store, "bolt:")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the store is there after a start that failed: Stat() = %v", err)
	}
}

func TestInsecure(t *testing.T) {
	opts := testOptions(t, oneService)
	opts.GRPC, opts.Insecure = "0.0.0.0:0", true
	start(t, opts)
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true, "": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "example.com": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("loopback(%q) = %v, want %v", host, got, want)
		}
	}
}

// The end of the control plane ends streams and calls under way.
func TestStopWithStreamsOpen(t *testing.T) {
	r := start(t, testOptions(t, oneService))
	stream, _ := r.welcome()
	watch, err := gatewayv1.NewBreakerServiceClient(r.conn).ListBreakers(r.ctx(), &gatewayv1.ListBreakersRequest{Watch: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	r.stop()
	for {
		if _, err := stream.Recv(); err != nil {
			break
		}
	}
	if _, err := watch.Recv(); err == nil {
		t.Error("a watch goes on after the end")
	}
}

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	for _, test := range []struct {
		content            string
		mistakes, warnings int
	}{
		{oneService, 0, 0},
		{strings.Replace(oneService, "[metrics]", "[]", 1), 0, 1},
		{"services: 3\nprot: 1\n", 2, 0},
		{"", 1, 0},
	} {
		file := filepath.Join(folder, "gateway.yaml")
		write(t, file, test.content)
		mistakes, warnings, err := Check(file)
		if err != nil || len(mistakes) != test.mistakes || len(warnings) != test.warnings {
			t.Errorf("Check(%q) = %q, %q, %v, want %d mistakes and %d warnings", test.content, mistakes, warnings, err, test.mistakes, test.warnings)
		}
		for _, m := range mistakes {
			if !strings.HasPrefix(m, fmt.Sprintf("%s:", file)) {
				t.Errorf("mistake %q does not name its file", m)
			}
		}
	}
	if _, _, err := Check(filepath.Join(folder, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Check() of no file = %v", err)
	}
}
