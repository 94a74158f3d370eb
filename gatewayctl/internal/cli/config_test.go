package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

var mistake = &gatewayv1.ConfigMistake{
	File: "gateway.yaml", Line: 19, Column: 5, Path: "services[0].rate_limit_rsp",
	Message: "unknown field, did you mean rate_limit_rps?",
}

const (
	mistakeText = "gateway.yaml:19:5: services[0].rate_limit_rsp: unknown field, did you mean rate_limit_rps?\n"
	mistakeJSON = `{"file":"gateway.yaml","line":19,"column":5,"path":"services[0].rate_limit_rsp",` +
		`"message":"unknown field, did you mean rate_limit_rps?"}`
)

func TestConfigStatus(t *testing.T) {
	good := &gatewayv1.GetConfigStatusResponse{File: "/etc/gateway.yaml", Revision: 42, AppliedAtMs: ms(time.Hour)}
	bad := &gatewayv1.GetConfigStatusResponse{
		File: "/etc/gateway.yaml", Revision: 42, AppliedAtMs: ms(time.Hour), ErrorAtMs: ms(12 * time.Second),
		Mistakes: []*gatewayv1.ConfigMistake{mistake},
	}
	const head = `{"file":"/etc/gateway.yaml","revision":42,"applied_at":"2026-11-23T11:00:00.000Z","error":`
	const (
		serving      = gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING
		rejected     = gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED
		disconnected = gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED
	)
	tests := []struct {
		name, line string
		status     *gatewayv1.GetConfigStatusResponse
		planes     []gatewayv1.DataPlaneState
		want       string
	}{
		{"good", "config status", good, nil, "file      /etc/gateway.yaml\nrevision  42\napplied   1h ago\n"},
		{
			"served", "config status", good,
			[]gatewayv1.DataPlaneState{serving, disconnected},
			"file      /etc/gateway.yaml\nrevision  42\napplied   1h ago\n",
		},
		{
			"rejected", "config status", bad,
			[]gatewayv1.DataPlaneState{rejected, serving, disconnected, rejected},
			"file      /etc/gateway.yaml\nrevision  42\napplied   1h ago\n" +
				"rejected  by 2 of 3 data planes, see gatewayctl dataplanes list\n" +
				"newer content refused 12s ago, revision 42 stays in force:\n" + mistakeText,
		},
		{"rejected JSON", "config status -o json", good, []gatewayv1.DataPlaneState{rejected}, head + "null}\n"},
		{"bad", "config status", bad, nil, "file      /etc/gateway.yaml\nrevision  42\napplied   1h ago\n" +
			"newer content refused 12s ago, revision 42 stays in force:\n" + mistakeText},
		{"good JSON", "config status -o json", good, nil, head + "null}\n"},
		{"bad JSON", "config status -o json", bad, nil, head + `{"at":"2026-11-23T11:59:48.000Z","mistakes":[` + mistakeJSON + "]}}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := &gatewayv1.ListDataPlanesResponse{}
			for _, state := range tt.planes {
				page.Dataplanes = append(page.Dataplanes, &gatewayv1.DataPlane{Id: "edge", State: state})
			}
			f := &fake{status: tt.status, planes: pagesOf[gatewayv1.ListDataPlanesResponse]{pages: []*gatewayv1.ListDataPlanesResponse{page}}}
			if diff := cmp.Diff(result{0, tt.want, ""}, f.gatewayctl(t, tt.line)); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	warning := &gatewayv1.ConfigMistake{File: "gateway.yaml", Line: 3, Column: 1, Path: "services[0]", Message: "no middleware"}
	whole := &gatewayv1.ConfigMistake{File: "gateway.yaml", Message: "empty"}
	tests := []struct {
		name, flags string
		found       *gatewayv1.ValidateConfigResponse
		want        result
	}{
		{"good", "", &gatewayv1.ValidateConfigResponse{}, result{0, "FILE: no mistakes\n", ""}},
		{
			"two", "", &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{mistake, whole}},
			result{1, mistakeText + "gateway.yaml: empty\n2 mistakes, nothing changed\n", ""},
		},
		{
			"warning", "", &gatewayv1.ValidateConfigResponse{Warnings: []*gatewayv1.ConfigMistake{warning}},
			result{0, "gateway.yaml:3:1: warning: services[0]: no middleware\nFILE: no mistakes, 1 warning\n", ""},
		},
		{
			"JSON", " -o json", &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{mistake}},
			result{1, `{"mistakes":[` + mistakeJSON + `],"warnings":[]}` + "\n", ""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(file, []byte("port: x"), 0o600); err != nil {
				t.Fatal(err)
			}
			f := &fake{validate: func(name string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
				if name != file || string(data) != "port: x" {
					t.Errorf("ValidateConfig(%q, %q), want %q, %q", name, data, file, "port: x")
				}
				return tt.found, nil
			}}
			got := f.gatewayctl(t, "config validate "+file+tt.flags)
			got.Stdout = strings.ReplaceAll(got.Stdout, file, "FILE")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("config validate (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConfigValidatePieces sends files around the size of a piece.
func TestConfigValidatePieces(t *testing.T) {
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 3 * piece} {
		want := bytes.Repeat([]byte("x"), size)
		f := &fake{validate: func(name string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
			if name != "stdin" || !bytes.Equal(data, want) {
				t.Errorf("ValidateConfig(%q, %d bytes), want stdin, %d bytes", name, len(data), size)
			}
			return &gatewayv1.ValidateConfigResponse{}, nil
		}}
		p, _, stderr := process("config validate -", f.start(t))
		p.Stdin = bytes.NewReader(want)
		if code := Run(t.Context(), p); code != 0 {
			t.Errorf("config validate of %d bytes = %d, %q, want 0", size, code, stderr)
		}
	}
}

func TestConfigValidateErrors(t *testing.T) {
	dir := t.TempDir()
	refuses := func(string, []byte) (*gatewayv1.ValidateConfigResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "file: larger than 8 MiB")
	}
	tests := []struct{ line, want string }{
		{"config validate " + dir + "/none", "open " + dir + "/none: no such file or directory"},
		{"config validate " + dir, "read " + dir + ": is a directory"},
		{"config validate -", "file: larger than 8 MiB"},
	}
	for _, tt := range tests {
		f := &fake{validate: refuses}
		if diff := cmp.Diff(result{1, "", "gatewayctl: " + tt.want + "\n"}, f.gatewayctl(t, tt.line)); diff != "" {
			t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
		}
	}
}
