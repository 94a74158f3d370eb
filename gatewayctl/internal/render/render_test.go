package render

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// now is the time of every test.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// ms is d before (or, negative, after) now, as messages hold it.
func ms(d time.Duration) int64 { return now.Add(-d).UnixMilli() }

const (
	closed   = gatewayv1.CircuitState_CIRCUIT_STATE_CLOSED
	open     = gatewayv1.CircuitState_CIRCUIT_STATE_OPEN
	halfOpen = gatewayv1.CircuitState_CIRCUIT_STATE_HALF_OPEN
	serving  = gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING
)

// hostile is text that a data plane could send to take over a terminal.
const hostile = "line\nnext\x1b[2J\u202e\ttab"

// TestGolden compares everything that is printed for people with testdata/<case>.golden.
func TestGolden(t *testing.T) {
	plain, colour, all := Style{Now: now}, Style{Now: now, Colour: true}, Style{Now: now, All: true}
	tests := []struct {
		name  string
		print func(w io.Writer) error
	}{
		{"breakers", func(w io.Writer) error { return Breakers(w, plain, someBreakers()) }},
		{"breakers_colour", func(w io.Writer) error { return Breakers(w, colour, someBreakers()) }},
		{"breakers_long", func(w io.Writer) error { return Breakers(w, plain, manyBreakers(true)) }},
		{"breakers_long_all", func(w io.Writer) error { return Breakers(w, all, manyBreakers(true)) }},
		{"breakers_long_closed", func(w io.Writer) error { return Breakers(w, plain, manyBreakers(false)) }},
		{"breaker_lines", func(w io.Writer) error { return breakerLines(w, plain) }},
		{"dataplanes", func(w io.Writer) error { return DataPlanes(w, plain, someDataPlanes()) }},
		{"dataplanes_colour", func(w io.Writer) error { return DataPlanes(w, colour, someDataPlanes()) }},
		{"dataplanes_long", func(w io.Writer) error { return DataPlanes(w, plain, manyDataPlanes()) }},
		{"dataplanes_long_all", func(w io.Writer) error { return DataPlanes(w, all, manyDataPlanes()) }},
		{"dataplanes_none", func(w io.Writer) error { return DataPlanes(w, plain, nil) }},
		{"keys", func(w io.Writer) error { return keyTable(w, plain) }},
		{"keys_colour", func(w io.Writer) error { return keyTable(w, colour) }},
		{"keys_none", func(w io.Writer) error { return NewKeyTable(w, plain).Close() }},
		{"key", func(w io.Writer) error { return KeyDetails(w, plain, someKeys()[2]) }},
		{"proof", func(w io.Writer) error { return proof(false).Write(w, plain) }},
		{"proof_revocation", func(w io.Writer) error { return proof(true).Write(w, plain) }},
		{"proof_foreign", func(w io.Writer) error { return foreignProof("e").Write(w, plain) }},
		{"proof_foreign_two", func(w io.Writer) error { return foreignProof("e", "f").Write(w, plain) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			if err := tt.print(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, got.Bytes())
		})
	}
}

// golden compares got with a file, or rewrites that.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

func breaker(service, dataPlane string, state gatewayv1.CircuitState) *gatewayv1.DataPlaneBreaker {
	return &gatewayv1.DataPlaneBreaker{Dataplane: dataPlane, State: &gatewayv1.BreakerState{
		Service: service, State: state, SinceMs: ms(4 * time.Minute),
	}}
}

func someBreakers() []*gatewayv1.DataPlaneBreaker {
	opened := breaker("users", "edge-1", open)
	opened.State.Trips, opened.State.ConsecutiveFailures = 2, 6
	opened.State.NextProbeAtMs, opened.State.LastError = ms(-2500*time.Millisecond), "127.0.0.1:8081: connection refused"
	due := breaker("users", "edge-3", open)
	due.State.NextProbeAtMs, due.State.LastError = ms(time.Second), hostile
	probing := breaker("users", "edge-4", halfOpen)
	probing.State.ConsecutiveFailures = 6
	shaky := breaker("zürich-süd", "edge-1", closed)
	shaky.State.ConsecutiveFailures, shaky.State.LastError = 1, "status 502"
	shaky.State.Urls = []*gatewayv1.UrlState{
		{Url: "http://localhost:8081", State: closed},
		{Url: "http://localhost:8083", State: open, LastError: "connection refused"},
	}
	recovered := breaker("orders", "edge-1", closed)
	recovered.State.Trips, recovered.State.LastError = 1, "an old error"
	return []*gatewayv1.DataPlaneBreaker{recovered, shaky, probing, due, breaker("users", "edge-2", closed), opened}
}

func manyBreakers(someOpen bool) []*gatewayv1.DataPlaneBreaker {
	var all []*gatewayv1.DataPlaneBreaker
	for i := range Long + 1 {
		all = append(all, breaker(fmt.Sprintf("service-%02d", i), "edge-1", closed))
	}
	if someOpen {
		all[17].State.State = halfOpen
		all = append(all, breaker("service-17", "edge-2", closed))
	}
	return all
}

func breakerLines(w io.Writer, s Style) error {
	for _, b := range append(someBreakers(), breaker("users", "edge-2", gatewayv1.CircuitState_CIRCUIT_STATE_UNSPECIFIED)) {
		if err := BreakerLine(w, s, b); err != nil {
			return err
		}
	}
	return nil
}

func someDataPlanes() []*gatewayv1.DataPlane {
	var all []*gatewayv1.DataPlane
	for i, s := range standings {
		all = append(all, &gatewayv1.DataPlane{
			Id: fmt.Sprintf("edge-%d", i), Address: "10.0.0.1:8080", Version: "v0.1.0", State: s.state, Revision: 41 + uint64(i%2),
			DesiredRevision: 42, LastSeenAtMs: ms(time.Duration(i) * time.Hour), ClockOffsetMs: float64(i) * 2500,
		})
	}
	all[0].Version = "v0.0.0-20261123195850-021f9e1395e2"
	all[2].Reason, all[3].Revision = hostile, 7
	return append(all, &gatewayv1.DataPlane{Id: "newer", State: 99})
}

func TestShortVersion(t *testing.T) {
	tests := map[string]string{
		"v0.0.0-20261123195850-021f9e1395e2":        "021f9e1",
		"v0.0.0-20261123195850-021f9e1395e2+dirty":  "021f9e1+dirty",
		"v1.2.4-0.20261123195850-021f9e1395e2":      "021f9e1",
		"v1.2.3-rc.1.0.20261123195850-021f9e1395e2": "021f9e1",
		"v1.2.3":      "v1.2.3",
		"v1.2.3-rc.1": "v1.2.3-rc.1",
		"(devel)":     "(devel)",
		"":            "",
		"edge v0.0.0-20261123195850-021f9e1395e2":    "edge v0.0.0-20261123195850-021f9e1395e2",
		"v0.0.0-20261123195850-021f9e1395e2 hotfix":  "v0.0.0-20261123195850-021f9e1395e2 hotfix",
		"v0.0.0-2026112319585-021f9e1395e2+20261123": "v0.0.0-2026112319585-021f9e1395e2+20261123",
	}
	for version, want := range tests {
		if got := shortVersion(version); got != want {
			t.Errorf("shortVersion(%q) = %q, want %q", version, got, want)
		}
	}
}

func manyDataPlanes() []*gatewayv1.DataPlane {
	all := someDataPlanes()[2:4]
	for i := range Long {
		all = append(all, &gatewayv1.DataPlane{Id: fmt.Sprintf("many-%02d", i), State: serving, Revision: 42, DesiredRevision: 42})
	}
	return all
}

func someKeys() []*gatewayv1.KeyInfo {
	return []*gatewayv1.KeyInfo{
		{Id: "7f3k9qwn2m4x", Name: "alice", Secrets: []*gatewayv1.SecretInfo{
			{Id: "7f3k9qwn2m4x", CreatedAtMs: ms(10 * time.Second), ExpiresAtMs: ms(-30 * 24 * time.Hour)},
		}},
		{Id: "b1", Name: "expired", Only: true, Services: []string{"a", "b", "c", "d", "e"}, Secrets: []*gatewayv1.SecretInfo{
			{Id: "b1", CreatedAtMs: ms(100 * 24 * time.Hour), ExpiresAtMs: ms(3 * time.Hour), LastUsedAtMs: ms(4 * time.Hour)},
		}},
		{Id: "c2", Name: "rotated", FromFile: true, Only: true, Services: []string{"a", "b"}, Secrets: []*gatewayv1.SecretInfo{
			{Id: "c1", CreatedAtMs: ms(200 * time.Hour), ExpiresAtMs: ms(-time.Hour), LastUsedAtMs: ms(time.Minute)},
			{Id: "c2", CreatedAtMs: ms(time.Minute)},
		}},
	}
}

// keyTable writes two pages, the second with a wider name.
func keyTable(w io.Writer, s Style) error {
	t := NewKeyTable(w, s)
	if err := t.Page(nil); err != nil {
		return err
	}
	if err := t.Page(someKeys()); err != nil {
		return err
	}
	if err := t.Page([]*gatewayv1.KeyInfo{{Name: "a-longer-name", Only: true}, {Name: "b"}}); err != nil {
		return err
	}
	return t.Close()
}

func proof(revocation bool) Proof {
	return Proof{
		Rollout: &gatewayv1.Rollout{
			Applied:      []*gatewayv1.AppliedBy{{Dataplane: "a", AfterMs: 3, NotDurable: true}},
			Lagging:      []*gatewayv1.LaggingBy{{Dataplane: "b", Revision: 41}, {Dataplane: "new"}},
			Rejected:     []*gatewayv1.RejectedBy{{Dataplane: "c", Reason: hostile}},
			Disconnected: []*gatewayv1.DisconnectedFrom{{Dataplane: "d", LastSeenAtMs: ms(90 * time.Minute)}},
		},
		Done: "served", Undone: ", may still accept the key", Revision: 42, Revocation: revocation,
	}
}

// foreignProof is one that foreign data planes cannot give.
func foreignProof(ids ...string) Proof {
	p := proof(false)
	for _, id := range ids {
		p.Rollout.Rejected = append(p.Rollout.Rejected, &gatewayv1.RejectedBy{Dataplane: id, Reason: "foreign: another store", Foreign: true})
	}
	return p
}

// TestManyMistakes checks that the bound of the control plane is not taken for the number of mistakes.
func TestManyMistakes(t *testing.T) {
	tests := map[int]string{1: "1 mistake, nothing changed", 999: "999 mistakes, nothing changed", 1000: "1000 mistakes or more, nothing changed"}
	for n, want := range tests {
		var out bytes.Buffer
		found := &gatewayv1.ValidateConfigResponse{Mistakes: make([]*gatewayv1.ConfigMistake, n)}
		if err := ValidationText(&out, "a.yaml", found); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.HasSuffix(got, "\n"+want+"\n") {
			t.Errorf("ValidationText(%d mistakes) ends in %q, want %q", n, got[max(0, len(got)-60):], want)
		}
	}
}

func TestShort(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m",
		59*time.Minute + 59*time.Second: "59m", time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	}
	for d, want := range tests {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestUntil(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Hour: "over", 0: "over", time.Millisecond: "in 1s", 2500 * time.Millisecond: "in 3s", 59*time.Second + 900*time.Millisecond: "in 1m",
		14*time.Minute + 29*time.Second: "in 14m", 24*time.Hour - time.Second: "in 24h", 30*24*time.Hour - time.Second: "in 30d",
		29*24*time.Hour + 11*time.Hour: "in 29d",
	}
	for d, want := range tests {
		if got := (Style{Now: now}).until(ms(-d), "over"); got != want {
			t.Errorf("until(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	tests := map[float64]string{0: "0 ms", 0.04: "0 ms", 0.06: "0.1 ms", 8: "8 ms", 3.14: "3.1 ms", 9.96: "10 ms", 12.7: "13 ms", 9000: "9000 ms"}
	for ms, want := range tests {
		if got := took(ms); got != want {
			t.Errorf("took(%v) = %q, want %q", ms, got, want)
		}
	}
}

// TestJSONOfNoNumber checks that what JSON cannot hold does not break it.
func TestJSONOfNoNumber(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		var out bytes.Buffer
		if err := Object(&out, NewRollout(&gatewayv1.Rollout{Applied: []*gatewayv1.AppliedBy{{AfterMs: f}}})); err != nil {
			t.Errorf("Object(%v) = %v, want nil", f, err)
		}
		want := `{"applied":[{"dataplane":"","after_ms":null}],"lagging":[],"rejected":[],"disconnected":[]}` + "\n"
		if got := out.String(); got != want {
			t.Errorf("Object(%v) wrote %q, want %q", f, got, want)
		}
	}
}

func TestKeySummary(t *testing.T) {
	secret := func(created, expires, used int64) *gatewayv1.SecretInfo {
		return &gatewayv1.SecretInfo{CreatedAtMs: created, ExpiresAtMs: expires, LastUsedAtMs: used}
	}
	tests := []struct {
		name    string
		secrets []*gatewayv1.SecretInfo
		want    [3]instant // created, expires, used
	}{
		{"none", nil, [3]instant{0, 0, 0}},
		{"oldest creation, last expiry, newest use", []*gatewayv1.SecretInfo{secret(10, 30, 5), secret(20, 40, 4)}, [3]instant{10, 40, 5}},
		{"one never ends", []*gatewayv1.SecretInfo{secret(10, 30, 0), secret(20, 0, 7)}, [3]instant{10, 0, 7}},
		{"unknown creation", []*gatewayv1.SecretInfo{secret(0, 30, 0), secret(20, 30, 0)}, [3]instant{20, 30, 0}},
	}
	for _, tt := range tests {
		k := NewKey(&gatewayv1.KeyInfo{Secrets: tt.secrets})
		if got := [3]instant{k.CreatedAt, k.ExpiresAt, k.LastUsedAt}; got != tt.want {
			t.Errorf("%s: NewKey = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestArray(t *testing.T) {
	for want, elements := range map[string][]int{"[]\n": nil, "[1]\n": {1}, "[1,\n 2]\n": {1, 2}} {
		var out bytes.Buffer
		a := NewArray(&out)
		for _, e := range elements {
			if err := a.Add(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Close(); err != nil || out.String() != want {
			t.Errorf("array of %v = %q, %v, want %q", elements, out.String(), err, want)
		}
	}
}
