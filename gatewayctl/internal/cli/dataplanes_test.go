package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestDataPlanesList(t *testing.T) {
	script := func() *fake {
		return &fake{planes: pagesOf[gatewayv1.ListDataPlanesResponse]{pages: []*gatewayv1.ListDataPlanesResponse{
			{Dataplanes: []*gatewayv1.DataPlane{{
				Id: "edge-1", Address: ":8080", Version: "v1", State: gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING,
				Revision: 42, ConfigRevision: 41, KeysRevision: 42, DesiredRevision: 42, Digest: []byte{0xab, 0xcd},
				ConnectedAtMs: ms(time.Hour), LastSeenAtMs: ms(time.Second), ClockOffsetMs: -0.5,
			}}},
			{Dataplanes: []*gatewayv1.DataPlane{{
				Id: "edge-2", State: gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, Revision: 40, DesiredRevision: 42,
				LastSeenAtMs: ms(2 * time.Second), ClockOffsetMs: 6000, Reason: "service users: unknown middleware \"x\"",
			}}},
		}}}
	}
	tests := []struct{ line, want string }{
		{"dataplanes list", `ID      ADDRESS  VERSION  STATE     REVISION  LAST SEEN  CLOCK     REASON
edge-1  :8080    v1       serving   42        1s ago     –         –
edge-2  –        –        rejected  40 of 42  2s ago     +6000 ms  service users: unknown middleware "x"
2 data planes: 1 serving, 1 rejected
`},
		{"dataplanes list -o json", `[{"id":"edge-1","address":":8080","version":"v1","state":"serving","revision":42,"config_revision":41,` +
			`"keys_revision":42,"digest":"abcd","desired_revision":42,"connected_at":"2026-11-23T11:00:00.000Z",` +
			`"last_seen_at":"2026-11-23T11:59:59.000Z","clock_offset_ms":-0.5,"reason":null}` + ",\n " +
			`{"id":"edge-2","address":"","version":"","state":"rejected","revision":40,"config_revision":0,"keys_revision":0,"digest":"",` +
			`"desired_revision":42,"connected_at":null,"last_seen_at":"2026-11-23T11:59:58.000Z","clock_offset_ms":6000,` +
			`"reason":"service users: unknown middleware \"x\""}]` + "\n"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(result{0, tt.want, ""}, script().gatewayctl(t, tt.line)); diff != "" {
			t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
		}
	}
}

// adopts is a control plane with one foreign data plane.
func adopts(r *gatewayv1.AdoptDataPlanesRequest) ([]*gatewayv1.AdoptDataPlanesResponse, error) {
	last := &gatewayv1.AdoptDataPlanesResponse{Adopted: []string{"edge-1"}}
	pages := []*gatewayv1.AdoptDataPlanesResponse{
		{Changes: []*gatewayv1.KeyChange{{Dataplane: "edge-1", Name: "alice", Revived: true}}},
		{Changes: []*gatewayv1.KeyChange{{Dataplane: "edge-1", Name: "bob", Dropped: true}}},
	}
	if !r.GetDryRun() {
		last.Epoch = "e2"
		// Between the question and the answer one more key appeared.
		pages = append(pages, &gatewayv1.AdoptDataPlanesResponse{
			Changes: []*gatewayv1.KeyChange{{Dataplane: "edge-1", Name: "carol", Dropped: true}},
		})
	}
	return append(pages, last), nil
}

const (
	planned = "edge-1: revives alice: refused there now, accepted afterwards\n" +
		"edge-1: drops bob: accepted there now, refused afterwards\n"
	late     = "edge-1: drops carol: accepted there now, refused afterwards\n"
	question = "adopt edge-1: keys revived: 1, dropped: 1. Go on? [y/N] "
)

func TestDataPlanesAdopt(t *testing.T) {
	tests := []struct {
		name, line, answer string
		asks               bool
		want               result
		dryRuns            []bool // of each request
	}{
		{"no terminal", "dataplanes adopt edge-1", "", false, result{0, planned + late + "adopted edge-1, epoch e2\n", ""}, []bool{false}},
		{"yes", "dataplanes adopt --all", "y\n", true, result{0, planned + late + "adopted edge-1, epoch e2\n", question}, []bool{true, false}},
		{
			"no", "dataplanes adopt --all", "\n", true,
			result{1, planned, question + "gatewayctl: not confirmed, nothing changed\n"},
			[]bool{true},
		},
		{
			"end of input", "dataplanes adopt --all", "", true,
			result{1, planned, question + "gatewayctl: not confirmed, nothing changed\n"},
			[]bool{true},
		},
		{"not asked", "dataplanes adopt --all --yes", "", true, result{0, planned + late + "adopted edge-1, epoch e2\n", ""}, []bool{false}},
		{"dry run", "dataplanes adopt --all --dry-run", "", true, result{0, planned + "would adopt edge-1; nothing changed\n", ""}, []bool{true}},
		{
			"JSON", "dataplanes adopt --all --dry-run -o json", "", false,
			result{0, `{"changes":[{"dataplane":"edge-1","name":"alice","revived":true,"dropped":false},` +
				`{"dataplane":"edge-1","name":"bob","revived":false,"dropped":true}],"epoch":null,"adopted":["edge-1"]}` + "\n", ""},
			[]bool{true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{adopt: adopts}
			p, stdout, stderr := process(tt.line, f.start(t))
			p.Stdin, p.Asks = strings.NewReader(tt.answer), tt.asks
			code := Run(t.Context(), p)
			if diff := cmp.Diff(tt.want, result{code, stdout.String(), stderr.String()}); diff != "" {
				t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
			}
			var dryRuns []bool
			for _, m := range f.requests() {
				dryRuns = append(dryRuns, m.(*gatewayv1.AdoptDataPlanesRequest).GetDryRun())
			}
			if diff := cmp.Diff(tt.dryRuns, dryRuns); diff != "" {
				t.Errorf("gatewayctl %s: dry runs (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

func TestDataPlanesAdoptNothing(t *testing.T) {
	f := &fake{adopt: func(*gatewayv1.AdoptDataPlanesRequest) ([]*gatewayv1.AdoptDataPlanesResponse, error) {
		return []*gatewayv1.AdoptDataPlanesResponse{{}}, nil
	}}
	want := result{0, "no connected data plane is foreign, nothing changed\n", ""}
	p, stdout, stderr := process("dataplanes adopt --all", f.start(t))
	p.Asks = true
	code := Run(t.Context(), p)
	if diff := cmp.Diff(want, result{code, stdout.String(), stderr.String()}); diff != "" {
		t.Errorf("dataplanes adopt (-want +got):\n%s", diff)
	}
}

func TestDataPlanesAdoptUncertain(t *testing.T) {
	f := &fake{adopt: func(*gatewayv1.AdoptDataPlanesRequest) ([]*gatewayv1.AdoptDataPlanesResponse, error) {
		return nil, status.Error(codes.Internal, "store: fsync failed")
	}}
	want := result{1, "", "gatewayctl: store: fsync failed; the adoption may or may not have begun: 'gatewayctl dataplanes list' tells\n"}
	if diff := cmp.Diff(want, f.gatewayctl(t, "dataplanes adopt a")); diff != "" {
		t.Errorf("dataplanes adopt (-want +got):\n%s", diff)
	}
}

func TestDataPlanesForget(t *testing.T) {
	f := func() *fake {
		return &fake{forget: func(r *gatewayv1.ForgetDataPlaneRequest) error {
			if r.GetId() == "edge-1" {
				return status.Error(codes.FailedPrecondition, "data plane \"edge-1\" is connected")
			}
			return nil
		}}
	}
	tests := []struct {
		line string
		want result
	}{
		{"dataplanes forget edge-2", result{0, "forgot edge-2\n", ""}},
		{"dataplanes forget edge-2 -o json", result{0, "{\"id\":\"edge-2\"}\n", ""}},
		{"dataplanes forget edge-1", result{1, "", "gatewayctl: data plane \"edge-1\" is connected\n"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, f().gatewayctl(t, tt.line)); diff != "" {
			t.Errorf("gatewayctl %s (-want +got):\n%s", tt.line, diff)
		}
	}
}
