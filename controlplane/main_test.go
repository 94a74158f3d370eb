package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.loop")) // begins with the first Notify, for good
}

const good = "services: [{name: users, route_pattern: /users, urls: [\"http://localhost:8081\"], middleware: [metrics]}]\n"

// files writes a good and a bad file and goes to their folder.
func files(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"good.yaml": good, "bad.yaml": "services: 3\nprot: 1\n", "one.yaml": "prot: 1\n" + good, "open.yaml": strings.Replace(good, "[metrics]", "[]", 1),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name   string
		args   string
		code   int
		stdout string // a part of it; "": nothing is written
		stderr string
	}{
		{"help", "--help", 0, "controlplane [flags] [CONFIG]", ""},
		{"version", "--version", 0, "controlplane ", ""},
		{"check a good file", "--check good.yaml", 0, "good.yaml: no mistakes\n", ""},
		{"check a file with a warning", "--check open.yaml", 0, "open.yaml: no mistakes\n", "warning: open.yaml:1:12: services[0]: no middleware: service users is open to the world\n"},
		{"check a bad file", "--check bad.yaml", 1, "bad.yaml:1:11: services: wrong type, got a number (want a list)\nbad.yaml:2:1: prot: unknown field, did you mean port?\n2 mistakes\n", ""},
		{"check a file with one mistake", "--check one.yaml", 1, "one.yaml:1:1: prot: unknown field, did you mean port?\n1 mistake\n", ""},
		{"check no file", "--check none.yaml", 1, "", "none.yaml: no such file or directory\n"},
		{"start on a bad file", "--grpc 127.0.0.1:0 --http 127.0.0.1:0 bad.yaml", 1, "", "bad.yaml:2:1: prot: unknown field, did you mean port?\n2 mistakes\n"},
		{"start on a taken port", "--http 127.0.0.1:0 good.yaml --grpc " + taken.Addr().String(), 1, "", "controlplane: --grpc: address in use by another process, got "},
		{"start without a file", "--grpc 127.0.0.1:0 --http 127.0.0.1:0", 1, "", "controlplane: --config: no such file, got "},
		{"unknown flag", "--nope", 2, "", "controlplane: unknown flag: --nope (see controlplane --help)\n"},
		{"unknown level", "--log-level loud", 2, "", "--log-level"},
		{"unknown format", "--log-format xml", 2, "", `controlplane: --log-format: got "xml" (want text or json) (see controlplane --help)` + "\n"},
		{"two files", "a.yaml b.yaml", 2, "", `controlplane: got 2 arguments ["a.yaml" "b.yaml"] (want at most one, the configuration file) (see controlplane --help)` + "\n"},
		{"a file twice", "--config a.yaml a.yaml", 2, "", "controlplane: got both --config and an argument (want one configuration file) (see controlplane --help)\n"},
		{"not loopback", "--grpc 0.0.0.0:18000 good.yaml", 2, "", "which is not loopback"},
		{"a part of TLS", "--tls-key a.pem good.yaml", 2, "", "controlplane: --tls-cert, --tls-key, --tls-ca: got no --tls-cert and no --tls-ca (want all three, or none for plaintext) (see controlplane --help)\n"},
		{"TLS and plaintext", "--insecure --tls-cert a --tls-key b --tls-ca c good.yaml", 2, "", "controlplane: --insecure: got it beside --tls-cert (want one of them) (see controlplane --help)\n"},
		{"TLS files that are not there", "--grpc 0.0.0.0:0 --http 127.0.0.1:0 --tls-cert a --tls-key b --tls-ca c good.yaml", 1, "", "controlplane: --tls-cert: open a: no such file"},
		{"check two files", "--check good.yaml bad.yaml", 2, "", `controlplane: --check: got the argument "bad.yaml" beside it (want the file to check alone)`},
		{"unknown store", "--store foo:/x good.yaml", 2, "", `controlplane: --store: store: unknown URL, got "foo:/x" (want bolt:…) (see controlplane --help)` + "\n"},
		{"empty --grpc", "--grpc= good.yaml", 2, "", `controlplane: --grpc: not an address, got "" (want host:port) (see controlplane --help)` + "\n"},
		{"--grpc without a port", "--insecure --grpc 127.0.0.1: good.yaml", 2, "", `--grpc: not an address, got "127.0.0.1:" (want host:port)`},
		{"empty --http", "--http= good.yaml", 2, "", `--http: not an address, got "" (want host:port)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			files(t)
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for name, out := range map[string]struct{ got, want string }{"stdout": {stdout.String(), test.stdout}, "stderr": {stderr.String(), test.stderr}} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("%s = %q, want %q", name, out.got, out.want)
				}
			}
			if test.code == 2 && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("stderr has several lines: %q", stderr.String())
			}
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var stdout bytes.Buffer
	run(t.Context(), []string{"--help"}, &stdout, &stdout)
	for _, flag := range []string{
		"--config file", "--check file", "--grpc address", "--http address", "--store URL", "--adopt", "--tls-cert file", "--tls-key file", "--tls-ca file", "--insecure", "--log-level", "--log-format", "--version",
		`"127.0.0.1:18000"`, `"127.0.0.1:18001"`, `"configs/gateway.yaml"`, `"bolt:data/controlplane.db"`, "CONTROLPLANE_GRPC",
	} {
		if !strings.Contains(stdout.String(), flag) {
			t.Errorf("help does not name %s:\n%s", flag, stdout.String())
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		args string
		want string // config, gRPC address and log format
		err  string
	}{
		{"nothing", nil, "", "configs/gateway.yaml 127.0.0.1:18000 text", ""},
		{"set", map[string]string{"CONTROLPLANE_CONFIG": "e.yaml", "CONTROLPLANE_GRPC": "[::1]:1", "CONTROLPLANE_LOG_FORMAT": "json"}, "", "e.yaml [::1]:1 json", ""},
		{"flags win", map[string]string{"CONTROLPLANE_CONFIG": "e.yaml", "CONTROLPLANE_GRPC": "[::1]:1"}, "--config f.yaml --grpc [::1]:2", "f.yaml [::1]:2 text", ""},
		{"an argument wins", map[string]string{"CONTROLPLANE_CONFIG": "e.yaml"}, "a.yaml", "a.yaml 127.0.0.1:18000 text", ""},
		{"a bad value", map[string]string{"CONTROLPLANE_ADOPT": "perhaps"}, "", "", "CONTROLPLANE_ADOPT: "},
		{"an empty address", map[string]string{"CONTROLPLANE_GRPC": ""}, "", "", `--grpc: not an address, got "" (want host:port)`},
		{"a bad format", map[string]string{"CONTROLPLANE_LOG_FORMAT": "xml"}, "", "", `--log-format: got "xml"`},
		{"a version is no request to print it", map[string]string{"CONTROLPLANE_VERSION": "1.2.3"}, "", "configs/gateway.yaml 127.0.0.1:18000 text", ""},
		{"check beside an argument", map[string]string{"CONTROLPLANE_CHECK": "x"}, "a.yaml", "", `--check: got the argument "a.yaml" beside it`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			f, err := parseFlags(strings.Fields(test.args), &bytes.Buffer{})
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("parseFlags() = %v, want %s in one line", err, test.err)
				}
			case err != nil:
				t.Error(err)
			default:
				if got := f.options.Config + " " + f.options.GRPC + " " + f.logFormat; got != test.want || f.version || f.check != "" {
					t.Errorf("parseFlags() = %s, want %s", got, test.want)
				}
			}
		})
	}
}

func TestCheckFromEnvironment(t *testing.T) {
	files(t)
	t.Setenv("CONTROLPLANE_CHECK", "bad.yaml")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, &stdout, &stderr); code != 1 || !strings.HasSuffix(stdout.String(), "2 mistakes\n") {
		t.Errorf("run() = %d, stdout %q, want 1 and 2 mistakes", code, stdout.String())
	}
}

// buffer is a stderr that tells when a line with a text was written.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	return b.text.Write(p)
}

func (b *buffer) wait(t *testing.T, text string, times int) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		b.mu.Lock()
		got := b.text.String()
		b.mu.Unlock()
		if strings.Count(got, text) >= times {
			return
		}
		select {
		case <-b.more:
		case <-limit:
			t.Fatalf("%q was not written %d times:\n%s", text, times, got)
		}
	}
}

func TestSignals(t *testing.T) {
	files(t)
	stderr := &buffer{more: make(chan struct{}, 1)}
	code := make(chan int)
	go func() {
		args := []string{"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", "bolt:" + filepath.Join("data", "x.db"), "good.yaml", "--log-format", "json"}
		code <- run(context.Background(), args, &bytes.Buffer{}, stderr)
	}()
	stderr.wait(t, `"msg":"control plane started"`, 1)
	kill := func(s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	kill(syscall.SIGHUP)
	stderr.wait(t, `"msg":"configuration in force"`, 2)
	kill(syscall.SIGTERM)
	if got := <-code; got != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", got)
	}
}
