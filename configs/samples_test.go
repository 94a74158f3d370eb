package configs

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"apigateway/dataplane/proxy"
)

var (
	sampleListen  = regexp.MustCompile(`(?m)^port: *"?[^" ]*"?`)
	sampleBackend = regexp.MustCompile(`http://localhost:(\d+)`)
	samplePattern = regexp.MustCompile(`route_pattern: *"?(?:[A-Z]+ )?([^" #\n]+)`)
	sampleKey     = regexp.MustCompile(`valid_keys: *\["([^"]+)"`)
)

// sample is a sample of configs/ on ports of a test's own.
type sample struct {
	content  string
	public   string // address that its port names now
	key      string
	paths    []string
	backends []*backend // in the order of their ports in the file
}

// readSample starts a backend for each one that the sample names: backend-1 for port 8081, and so on.
func readSample(t *testing.T, file string) *sample {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{content: string(raw), public: freeAddress(t)}
	s.content = sampleListen.ReplaceAllString(s.content, `port: "`+s.public+`"`)
	ports := make(map[string]bool)
	for _, m := range sampleBackend.FindAllStringSubmatch(s.content, -1) {
		ports[m[1]] = true
	}
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		b := newBackend(t, "backend-"+port[len(port)-1:])
		s.backends = append(s.backends, b)
		_, mine, _ := net.SplitHostPort(b.address)
		s.content = strings.ReplaceAll(s.content, "http://localhost:"+port, "http://localhost:"+mine)
	}
	for _, m := range samplePattern.FindAllStringSubmatch(s.content, -1) {
		s.paths = append(s.paths, m[1])
	}
	if m := sampleKey.FindStringSubmatch(s.content); m != nil {
		s.key = m[1]
	}
	return s
}

// start boots both planes with the sample alone: the data plane listens where the file says.
func (s *sample) start(t *testing.T) (*fleet, *plane) {
	t.Helper()
	f := newFleet(t)
	f.write(s.content)
	f.startControl()
	p := f.startData("a", func(o *proxy.Options) { o.Listen = "" })
	p.public = s.public
	return f, p
}

func TestSamplesServe(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("samples = %q, %v, want some", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := readSample(t, file)
			f, p := s.start(t)
			if len(s.paths) == 0 {
				t.Fatal("no route_pattern found")
			}
			for _, path := range s.paths {
				f.expect(p, path, s.key, answer{status: 200})
			}
			f.expect(p, "/nobody-routes-this", s.key, answer{status: 404})
		})
	}
}

// The README's first minutes: gateway.yaml, two curls, a service more without a restart, a mistake and its correction.
func TestFirstSlice(t *testing.T) {
	t.Parallel()
	s := readSample(t, "gateway.yaml")
	f, p := s.start(t)
	f.expect(p, "/users", "", answer{status: 401, body: "Authentication Failed\n"})
	f.expect(p, "/users", "wrong", answer{status: 401, body: "Authentication Failed\n"})
	for range 2 {
		for _, b := range s.backends {
			f.expect(p, "/users", "abc-123", answer{status: 200, body: b.greeting})
		}
	}
	f.expect(p, "/users/42", "dwe-569", answer{status: 200})
	f.expect(p, "/usersX", "abc-123", answer{status: 404})

	more := s.content + "\n  - {name: orders, route_pattern: /orders, urls: [\"" + s.backends[1].url() + "\"], middleware: [auth_apikey]}\n"
	f.write(more) // nobody is told: the file is watched
	f.await("the new service", func() bool { return f.get(p, "/orders", "abc-123").status == 200 })
	f.expect(p, "/orders", "", answer{status: 401, body: "Authentication Failed\n"})

	f.write(strings.Replace(more, "rate_limit_rps:", "rate_limit_rsp:", 1))
	f.await("the mistake to be shown", func() bool { return len(f.status().GetMistakes()) > 0 })
	m := f.status().GetMistakes()[0]
	if m.GetFile() != f.config || m.GetLine() == 0 || m.GetPath() != "services[0].rate_limit_rsp" || !strings.Contains(m.GetMessage(), "did you mean rate_limit_rps?") {
		t.Errorf("mistake = %v, want file, line, path and what was meant", m)
	}
	f.expect(p, "/orders", "abc-123", answer{status: 200, body: s.backends[1].greeting})

	f.write(s.content)
	f.await("the corrected file", func() bool { return len(f.status().GetMistakes()) == 0 })
	f.await("the service to be gone", func() bool { return f.get(p, "/orders", "abc-123").status == 404 })
	f.expect(p, "/users", "abc-123", answer{status: 200})
}
