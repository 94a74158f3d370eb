package render

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxOffset is the difference between two clocks, in milliseconds, from which on it is coloured.
const maxOffset = 5000

// DataPlane is one data plane in JSON.
type DataPlane struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Version string `json:"version"`
	// State is serving, lagging, rejected, foreign or disconnected.
	State           string `json:"state"`
	Revision        uint64 `json:"revision"`
	ConfigRevision  uint64 `json:"config_revision"`
	KeysRevision    uint64 `json:"keys_revision"`
	Digest          string `json:"digest"`
	DesiredRevision uint64 `json:"desired_revision"`
	// ConnectedAt is null for one that is not connected.
	ConnectedAt   instant `json:"connected_at"`
	LastSeenAt    instant `json:"last_seen_at"`
	ClockOffsetMS millis  `json:"clock_offset_ms"`
	// Reason is null when there is nothing to explain.
	Reason *string `json:"reason"`
}

// NewDataPlane converts a data plane for JSON.
func NewDataPlane(d *gatewayv1.DataPlane) DataPlane {
	return DataPlane{
		ID: d.GetId(), Address: d.GetAddress(), Version: d.GetVersion(), State: standing(d.GetState()),
		Revision: d.GetRevision(), ConfigRevision: d.GetConfigRevision(), KeysRevision: d.GetKeysRevision(),
		Digest: hex.EncodeToString(d.GetDigest()), DesiredRevision: d.GetDesiredRevision(),
		ConnectedAt: instant(d.GetConnectedAtMs()), LastSeenAt: instant(d.GetLastSeenAtMs()),
		ClockOffsetMS: millis(d.GetClockOffsetMs()), Reason: orNull(d.GetReason()),
	}
}

// unknown is a state that only a newer control plane knows.
const unknown = "unknown"

// standings are the states in the order of a summary.
var standings = []struct {
	state  gatewayv1.DataPlaneState
	name   string
	colour string
}{
	{gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, "serving", green},
	{gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, "lagging", yellow},
	{gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, "rejected", red},
	{gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN, "foreign", red},
	{gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED, "disconnected", red},
}

func standing(state gatewayv1.DataPlaneState) string { return standingCell(state).text }

func standingCell(state gatewayv1.DataPlaneState) cell {
	for _, s := range standings {
		if s.state == state {
			return cell{s.name, s.colour}
		}
	}
	return cell{unknown, yellow}
}

// DataPlanes writes the table of data planes and a summary.
func DataPlanes(w io.Writer, s Style, all []*gatewayv1.DataPlane) error {
	p := &printer{w: w}
	if len(all) == 0 {
		p.linef("no data planes")
		return p.err
	}
	shown, t := 0, newTable(s, "ID", "ADDRESS", "VERSION", "STATE", "REVISION", "LAST SEEN", "CLOCK", "REASON")
	for _, d := range all {
		if len(all) > Long && !s.All && d.GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING {
			continue
		}
		t.row(s.dataPlaneRow(d)...)
		shown++
	}
	if shown > 0 {
		if err := t.flush(w); err != nil {
			return err
		}
	}
	if shown < len(all) {
		p.linef("%d serving, not shown (--all shows everything)", len(all)-shown)
	}
	p.linef("%s", summary(all))
	var foreign []string
	for _, d := range all {
		if d.GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN {
			foreign = append(foreign, d.GetId())
		}
	}
	p.adoptHint(foreign)
	return p.err
}

// adoptHint says how foreign data planes come to follow the control plane; nothing if there is none.
func (p *printer) adoptHint(foreign []string) {
	const what = "(--dry-run shows what would change)"
	switch len(foreign) {
	case 0:
	case 1:
		p.linef("%s is foreign: gatewayctl dataplanes adopt %[1]s %s", Clean(foreign[0]), what)
	default:
		p.linef("%d data planes are foreign: gatewayctl dataplanes adopt ID or --all %s", len(foreign), what)
	}
}

func (s Style) dataPlaneRow(d *gatewayv1.DataPlane) []cell {
	offset := text(none)
	if ms := d.GetClockOffsetMs(); math.Abs(ms) >= 1 {
		offset.text = fmt.Sprintf("%+.0f ms", ms)
		if math.Abs(ms) > maxOffset {
			offset.colour = yellow
		}
	}
	return []cell{
		text(d.GetId()), text(d.GetAddress()), text(shortVersion(d.GetVersion())), standingCell(d.GetState()),
		text(served(d)), text(s.ago(d.GetLastSeenAtMs())), offset, text(d.GetReason()),
	}
}

// pseudoVersion is what Go calls the version of a commit without a tag: https://go.dev/ref/mod#pseudo-versions.
var pseudoVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+-(?:.*\.)?\d{14}-([0-9a-f]{7})[0-9a-f]{5}(\+.*)?$`)

// shortVersion is the commit alone of a version that says no more.
func shortVersion(v string) string { return pseudoVersion.ReplaceAllString(v, "$1$2") }

// served is the revision that a data plane serves and, if that lacks something, the newest. One that serves all lacks
// nothing, also where an adoption made the numbers differ; those of a foreign one are of another store.
func served(d *gatewayv1.DataPlane) string {
	revision := fmt.Sprint(d.GetRevision())
	switch {
	case d.GetRevision() == d.GetDesiredRevision(),
		d.GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING,
		d.GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN:
		return revision
	default:
		return fmt.Sprintf("%s of %d", revision, d.GetDesiredRevision())
	}
}

// summary counts data planes by state.
func summary(all []*gatewayv1.DataPlane) string {
	count := map[string]int{}
	for _, d := range all {
		count[standing(d.GetState())]++
	}
	var parts []string
	for _, s := range standings {
		if n := count[s.name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.name))
		}
	}
	if n := count[unknown]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", n, unknown))
	}
	return plural(len(all), "data plane") + ": " + strings.Join(parts, ", ")
}

// KeyChange is what an adoption does to one key on one data plane, in JSON.
type KeyChange struct {
	DataPlane string `json:"dataplane"`
	Name      string `json:"name"`
	// Revived: not accepted there before, accepted afterwards.
	Revived bool `json:"revived"`
	// Dropped: accepted there before, not afterwards.
	Dropped bool `json:"dropped"`
}

// Adoption is the answer of dataplanes adopt in JSON.
type Adoption struct {
	Changes []KeyChange `json:"changes"`
	// Epoch is the new one; null for a dry run.
	Epoch *string `json:"epoch"`
	// Adopted are the ids of the data planes that were, or for a dry run would be, adopted.
	Adopted []string `json:"adopted"`
}

// NewAdoption returns an adoption without changes; an empty epoch is that of a dry run.
func NewAdoption(epoch string, adopted []string) Adoption {
	return Adoption{Changes: []KeyChange{}, Epoch: orNull(epoch), Adopted: append([]string{}, adopted...)}
}

// NewKeyChange converts a change for JSON.
func NewKeyChange(c *gatewayv1.KeyChange) KeyChange {
	return KeyChange{c.GetDataplane(), c.GetName(), c.GetRevived(), c.GetDropped()}
}

// KeyChangeLine writes one line about what an adoption does to a key.
func KeyChangeLine(w io.Writer, c *gatewayv1.KeyChange) error {
	p := &printer{w: w}
	effect := "drops %s: accepted there now, refused afterwards"
	if c.GetRevived() {
		effect = "revives %s: refused there now, accepted afterwards"
	}
	p.linef("%s: "+effect, Clean(c.GetDataplane()), Clean(c.GetName()))
	return p.err
}

// AdoptionLine writes what became of the adoption as a whole.
func AdoptionLine(w io.Writer, a Adoption) error {
	p := &printer{w: w}
	ids := Clean(strings.Join(a.Adopted, ", "))
	switch {
	case len(a.Adopted) == 0:
		p.linef("no connected data plane is foreign, nothing changed")
	case a.Epoch == nil:
		p.linef("would adopt %s; nothing changed", ids)
	default:
		p.linef("adopted %s, epoch %s", ids, Clean(*a.Epoch))
	}
	return p.err
}

// Forgotten is the answer of dataplanes forget in JSON.
type Forgotten struct {
	ID string `json:"id"`
}
