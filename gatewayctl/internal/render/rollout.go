package render

import (
	"fmt"
	"io"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Rollout is what became of a change on each data plane, in JSON.
type Rollout struct {
	Applied      []Applied      `json:"applied"`
	Lagging      []Lagging      `json:"lagging"`
	Rejected     []Rejected     `json:"rejected"`
	Disconnected []Disconnected `json:"disconnected"`
}

// Applied is a data plane that serves the change.
type Applied struct {
	DataPlane string `json:"dataplane"`
	AfterMS   millis `json:"after_ms"`
	// Durable is false where the cache refused to keep the change, otherwise left out.
	Durable *bool `json:"durable,omitempty"`
}

// Lagging is a data plane that is connected and has not answered.
type Lagging struct {
	DataPlane string `json:"dataplane"`
	Revision  uint64 `json:"revision"`
}

// Rejected is a data plane that refused the change or follows another store.
type Rejected struct {
	DataPlane string `json:"dataplane"`
	Reason    string `json:"reason"`
}

// Disconnected is a data plane that cannot be asked.
type Disconnected struct {
	DataPlane  string  `json:"dataplane"`
	LastSeenAt instant `json:"last_seen_at"`
}

// NewRollout converts a rollout for JSON. Nil is one of no data plane.
func NewRollout(r *gatewayv1.Rollout) *Rollout {
	out := &Rollout{Applied: []Applied{}, Lagging: []Lagging{}, Rejected: []Rejected{}, Disconnected: []Disconnected{}}
	for _, a := range r.GetApplied() {
		applied := Applied{DataPlane: a.GetDataplane(), AfterMS: millis(a.GetAfterMs())}
		if a.GetNotDurable() {
			applied.Durable = new(bool)
		}
		out.Applied = append(out.Applied, applied)
	}
	for _, l := range r.GetLagging() {
		out.Lagging = append(out.Lagging, Lagging{l.GetDataplane(), l.GetRevision()})
	}
	for _, x := range r.GetRejected() {
		out.Rejected = append(out.Rejected, Rejected{x.GetDataplane(), x.GetReason()})
	}
	for _, d := range r.GetDisconnected() {
		out.Disconnected = append(out.Disconnected, Disconnected{d.GetDataplane(), instant(d.GetLastSeenAtMs())})
	}
	return out
}

// Issued is the answer of keys add and keys rotate in JSON. Key and Revision are null when no answer came, so that it is
// not known whether the secret was stored; Rollout is left out without --wait.
type Issued struct {
	Key      *Key     `json:"key"`
	Secret   string   `json:"secret"`
	Revision *uint64  `json:"revision"`
	Rollout  *Rollout `json:"rollout,omitempty"`
}

// Revoked is the answer of keys revoke in JSON. Rollout is left out without --wait.
type Revoked struct {
	Revision uint64   `json:"revision"`
	Rollout  *Rollout `json:"rollout,omitempty"`
}

// Reset is the answer of breaker reset in JSON.
type Reset struct {
	Rollout *Rollout `json:"rollout"`
}

// Proof is a rollout for people.
type Proof struct {
	// Rollout may be nil: no data plane was heard of.
	Rollout *gatewayv1.Rollout
	// Done is what an applied data plane does: "serving", "revoked", "closed".
	Done string
	// Undone ends the line of a data plane that does not: ", may still accept the key". It may be empty.
	Undone string
	// Revision is shown unless it is 0.
	Revision uint64
	// Revocation counts data planes that are not connected among those that have to apply the change.
	Revocation bool
}

// Write prints how many data planes apply the change, then each one that does not and why, one a line.
func (p Proof) Write(w io.Writer, s Style) error {
	r := p.Rollout
	applied := len(r.GetApplied())
	total := applied + len(r.GetLagging()) + len(r.GetRejected())
	if p.Revocation {
		total += len(r.GetDisconnected())
	}
	out := &printer{w: w}
	line := fmt.Sprintf("%s on %d/%d data planes", p.Done, applied, total)
	if total == 0 {
		line = p.Done + " on no data plane"
	} else if applied == total {
		line += " after " + took(slowest(r.GetApplied()))
	}
	if p.Revision > 0 {
		line += fmt.Sprintf(", revision %d", p.Revision)
	}
	out.linef("%s", line)
	p.exceptions(out, s)
	return out.err
}

func (p Proof) exceptions(out *printer, s Style) {
	for _, a := range p.Rollout.GetApplied() {
		if a.GetNotDurable() {
			out.linef("%s: only in memory, its cache could not keep it", Clean(a.GetDataplane()))
		}
	}
	for _, l := range p.Rollout.GetLagging() {
		line := Clean(l.GetDataplane()) + ": no answer yet"
		if l.GetRevision() > 0 {
			line += fmt.Sprintf(", serves revision %d", l.GetRevision())
		}
		out.linef("%s%s", line, p.Undone)
	}
	var foreign []string
	for _, x := range p.Rollout.GetRejected() {
		out.linef("%s: rejected: %s", Clean(x.GetDataplane()), Clean(x.GetReason()))
		if x.GetForeign() {
			foreign = append(foreign, x.GetDataplane())
		}
	}
	for _, d := range p.Rollout.GetDisconnected() {
		line := fmt.Sprintf("%s: not connected, last seen %s", Clean(d.GetDataplane()), s.ago(d.GetLastSeenAtMs()))
		if p.Revocation {
			line += p.Undone
		}
		out.linef("%s", line)
	}
	out.adoptHint(foreign)
}

func slowest(applied []*gatewayv1.AppliedBy) float64 {
	var ms float64
	for _, a := range applied {
		ms = max(ms, a.GetAfterMs())
	}
	return ms
}
