package render

import (
	"fmt"
	"io"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxMistakes is the number of mistakes at which the control plane stops counting.
const maxMistakes = 1000

// ConfigStatus is the standing of the configuration file in JSON.
type ConfigStatus struct {
	File      string       `json:"file"`
	Revision  uint64       `json:"revision"`
	AppliedAt instant      `json:"applied_at"`
	Error     *ConfigError `json:"error"`
}

// ConfigError is why newer content of the file is not in force, in JSON.
type ConfigError struct {
	At       instant   `json:"at"`
	Mistakes []Mistake `json:"mistakes"`
}

// Mistake is one mistake in JSON. Line and Column are 0 where it is the file as a whole.
type Mistake struct {
	File    string `json:"file"`
	Line    int64  `json:"line"`
	Column  int64  `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Validation is the answer of config validate in JSON.
type Validation struct {
	Mistakes []Mistake `json:"mistakes"`
	Warnings []Mistake `json:"warnings"`
}

// NewConfigStatus converts the standing of the file for JSON.
func NewConfigStatus(r *gatewayv1.GetConfigStatusResponse) ConfigStatus {
	out := ConfigStatus{File: r.GetFile(), Revision: r.GetRevision(), AppliedAt: instant(r.GetAppliedAtMs())}
	if at := r.GetErrorAtMs(); at != 0 {
		out.Error = &ConfigError{At: instant(at), Mistakes: newMistakes(r.GetMistakes())}
	}
	return out
}

// NewValidation converts what was found in a file for JSON.
func NewValidation(r *gatewayv1.ValidateConfigResponse) Validation {
	return Validation{Mistakes: newMistakes(r.GetMistakes()), Warnings: newMistakes(r.GetWarnings())}
}

func newMistakes(all []*gatewayv1.ConfigMistake) []Mistake {
	out := make([]Mistake, len(all))
	for i, m := range all {
		out[i] = Mistake{m.GetFile(), m.GetLine(), m.GetColumn(), m.GetPath(), m.GetMessage()}
	}
	return out
}

// ConfigStatusText writes which file is in force, where it is rejected, and what is wrong with newer content.
func ConfigStatusText(w io.Writer, s Style, r *gatewayv1.GetConfigStatusResponse, planes []*gatewayv1.DataPlane) error {
	p := &printer{w: w}
	p.linef("file      %s", Clean(r.GetFile()))
	p.linef("revision  %d", r.GetRevision())
	p.linef("applied   %s", s.ago(r.GetAppliedAtMs()))
	if connected, rejected := reception(planes); rejected > 0 {
		text := fmt.Sprintf("rejected  by %d of %s, see gatewayctl dataplanes list", rejected, plural(connected, "data plane"))
		p.linef("%s", s.paint(text, red))
	}
	if at := r.GetErrorAtMs(); at != 0 {
		p.linef("%s", s.paint(fmt.Sprintf("newer content refused %s, revision %d stays in force:", s.ago(at), r.GetRevision()), red))
		mistakes(p, r.GetMistakes(), "")
	}
	return p.err
}

// reception counts the data planes that can be asked and, of those, the ones that reject the configuration.
func reception(planes []*gatewayv1.DataPlane) (connected, rejected int) {
	for _, d := range planes {
		switch d.GetState() {
		case gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED:
			continue
		case gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED:
			rejected++
		}
		connected++
	}
	return connected, rejected
}

// ValidationText writes each mistake and warning of a file as file:line:column, then how many there are.
func ValidationText(w io.Writer, file string, r *gatewayv1.ValidateConfigResponse) error {
	p := &printer{w: w}
	mistakes(p, r.GetMistakes(), "")
	mistakes(p, r.GetWarnings(), "warning: ")
	switch n := len(r.GetMistakes()); {
	case n >= maxMistakes:
		p.linef("%d mistakes or more, nothing changed", n)
	case n > 0:
		p.linef("%s, nothing changed", plural(n, "mistake"))
	case len(r.GetWarnings()) > 0:
		p.linef("%s: no mistakes, %s", Clean(file), plural(len(r.GetWarnings()), "warning"))
	default:
		p.linef("%s: no mistakes", Clean(file))
	}
	return p.err
}

func mistakes(p *printer, all []*gatewayv1.ConfigMistake, kind string) {
	for _, m := range all {
		place := Clean(m.GetFile())
		if m.GetLine() > 0 {
			place += fmt.Sprintf(":%d:%d", m.GetLine(), m.GetColumn())
		}
		problem := Clean(m.GetMessage())
		if m.GetPath() != "" {
			problem = Clean(m.GetPath()) + ": " + problem
		}
		p.linef("%s: %s%s", place, kind, problem)
	}
}
