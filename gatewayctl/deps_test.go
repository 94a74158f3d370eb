package main

import (
	"os/exec"
	"strings"
	"testing"
)

// refused are packages that the operator's tool must not link: those of the planes, and what only they need.
var refused = []string{
	"apigateway/controlplane", "apigateway/dataplane", "gopkg.in/yaml", "go.yaml.in/yaml", "sigs.k8s.io/yaml",
	"github.com/prometheus/", "go.etcd.io/",
}

func TestDeps(t *testing.T) {
	deps := dependencies(t, ".")
	for _, dep := range forbidden(deps) {
		t.Errorf("gatewayctl must not link %s", dep)
	}
	if !strings.Contains(deps, "apigateway/gatewayctl/internal/cli\n") {
		t.Errorf("go list -deps does not name the package cli, got %d bytes", len(deps))
	}
}

// TestDepsCanFail shows that the rule finds what it forbids.
func TestDepsCanFail(t *testing.T) {
	if got := forbidden(dependencies(t, "github.com/prometheus/client_golang/prometheus")); len(got) == 0 {
		t.Error("forbidden(deps of client_golang) found nothing")
	}
}

func dependencies(t *testing.T, pkg string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func forbidden(deps string) []string {
	var out []string
	for dep := range strings.Lines(deps) {
		for _, prefix := range refused {
			if strings.HasPrefix(dep, prefix) {
				out = append(out, strings.TrimSpace(dep))
			}
		}
	}
	return out
}
