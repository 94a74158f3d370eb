//go:build system

package configs

import (
	"encoding/xml"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// h2spec is pinned; the Go command builds it.
const h2spec = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// specTool installs h2spec and returns its path.
func specTool(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", h2spec)
	cmd.Dir = folder // no module's
	cmd.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	return filepath.Join(folder, "h2spec")
}

// report is what h2spec writes for JUnit.
type report struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Cases   []struct {
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// runSpec runs every case, the strict ones too, and returns how many there are and which failed.
func runSpec(t *testing.T, tool, address string, more ...string) (cases int, failed map[string]bool) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.xml")
	args := append([]string{"--strict", "--host", host, "--port", port, "--path", "/open", "--timeout", "2", "--junit-report", file}, more...)
	out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) { // it fails if a case does
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("no report: %v\n%s", err, out)
	}
	var r report
	if err := xml.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	failed = make(map[string]bool)
	for _, suite := range r.Suites {
		for _, c := range suite.Cases {
			if cases++; c.Failure != nil || c.Error != nil {
				failed[suite.Package+" "+c.Name] = true
			}
		}
	}
	return cases, failed
}

// TestH2Spec holds the data plane against h2spec: nothing may fail that does not fail with net/http's own server.
func TestH2Spec(t *testing.T) {
	tool := specTool(t)
	b := newBackend(t, "backend-1")
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "prior knowledge", true: "TLS"}[secure], func(t *testing.T) {
			bare := httptest.NewUnstartedServer(b)
			bare.Config.ErrorLog = log.New(io.Discard, "", 0)
			bare.Config.Protocols = new(http.Protocols)
			bare.Config.Protocols.SetHTTP2(true)
			bare.Config.Protocols.SetUnencryptedHTTP2(true)
			bare.EnableHTTP2 = true
			var more []string
			p, settings := newPort(t), ""
			p.rest += service("open", "", "", b)
			if secure {
				bare.StartTLS()
				more, settings = []string{"--tls", "--insecure"}, p.settings("")
			} else {
				bare.Start()
			}
			defer bare.Close()
			p.start(settings)
			known, allowed := runSpec(t, tool, bare.Listener.Addr().String(), more...)
			cases, failed := runSpec(t, tool, p.data.public, more...)
			t.Logf("%d cases, %d failed: %v; with net/http alone %d: %v", cases, len(failed), failed, len(allowed), allowed)
			if cases < 100 || cases != known {
				t.Errorf("%d cases, %d with net/http alone, want all of them", cases, known)
			}
			maps.DeleteFunc(failed, func(name string, _ bool) bool { return allowed[name] })
			for again := 0; again < 20 && len(failed) > 0; again++ { // some cases hang on who is faster
				section, _, _ := strings.Cut(slices.Sorted(maps.Keys(failed))[0], " ")
				_, still := runSpec(t, tool, p.data.public, append(more, section)...)
				_, too := runSpec(t, tool, bare.Listener.Addr().String(), append(more, section)...)
				maps.DeleteFunc(failed, func(name string, _ bool) bool {
					return strings.HasPrefix(name, section+" ") && !still[name] || too[name]
				})
			}
			for name := range failed {
				t.Errorf("fails each time, and not with net/http alone: %s", name)
			}
			p.expect2(secure)
		})
	}
}

// expect2 checks that the data plane still answers HTTP/2.
func (p *port) expect2(secure bool) {
	p.t.Helper()
	scheme, trusting := "http://", p.trusting("users.example")
	if secure {
		scheme = "https://"
	} else {
		trusting = nil
	}
	if status, err := p.ask(newHTTP2(p.t, trusting), scheme+p.data.public+"/users"); status != http.StatusOK || err != nil {
		p.t.Errorf("afterwards: status %d, %v, want 200", status, err)
	}
}
