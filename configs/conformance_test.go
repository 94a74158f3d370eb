package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"apigateway/configs/conformance"
)

// conformanceCase is a case of a row of the table of what is accepted, forwarded and refused.
type conformanceCase struct {
	row   string // see conformance.Sections
	name  string
	over  string // what the client speaks: one or two
	setup setup
	run   func(t *testing.T, l *lane)
}

// The protocols of clients.
const (
	one = "HTTP/1.1"
	two = "HTTP/2"
)

// conformanceCases is the whole table.
func conformanceCases() []conformanceCase {
	return slices.Concat(
		corpusCases(), requestCases(), headerCases(), upgradeCases(), earlyCases(), responseCases(), reuseCases(), retryCases(), limitCases(),
		http2Cases(), h2cCases(),
	)
}

// TestConformance holds a whole data plane to every row of the table, over both protocols and with backends that play a script and write down
// every byte.
func TestConformance(t *testing.T) {
	t.Parallel()
	cases := conformanceCases()
	free := newLanes(t, cases)
	for _, tt := range cases {
		t.Run(tt.over+"/"+tt.row+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			l := <-free[tt.setup]
			defer func() { free[tt.setup] <- l }()
			for _, b := range l.backends {
				b.play(answerOK)
			}
			tt.run(t, l)
		})
	}
}

// TestConformanceIsComplete wants a case for every row, over each protocol that the row is about, and a row for every case.
func TestConformanceIsComplete(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for _, section := range conformance.Sections() {
		for _, r := range section.Rows {
			if !r.OnlyTwo {
				missing[one+" "+r.Name] = true
			}
			if !r.OnlyOne && !r.OnlyBack {
				missing[two+" "+r.Name] = true
			}
		}
	}
	known := maps.Clone(missing)
	names := map[string]bool{}
	for _, c := range conformanceCases() {
		key, name := c.over+" "+c.row, c.over+" "+c.row+" "+c.name
		if !known[key] && !known[one+" "+c.row] {
			t.Errorf("%q is no row of the table", c.row)
		}
		if names[name] {
			t.Errorf("there are two cases %q", name)
		}
		names[name] = true
		delete(missing, key)
	}
	if len(missing) > 0 {
		t.Errorf("rows without a case: %q", slices.Sorted(maps.Keys(missing)))
	}
}

// lastRequest is sent behind messages, to see whether their connection goes on.
const lastRequest = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// corpusCases are the raw requests, each sent at once and in pieces.
func corpusCases() (cases []conformanceCase) {
	for _, m := range conformance.Requests() {
		for _, piece := range []int{1 << 20, max(1, len(m.Send)/200)} {
			name := m.Name
			if piece < 1<<20 {
				name = fmt.Sprintf("%s, in pieces of %d", m.Name, piece)
			}
			cases = append(cases, conformanceCase{row: m.Row, name: name, over: one, run: func(t *testing.T, l *lane) {
				t.Helper()
				runMessage(t, l, &m, piece)
			}})
		}
	}
	return cases
}

func runMessage(t *testing.T, l *lane, m *conformance.Message, piece int) {
	t.Helper()
	wantStatuses, wantSaw := m.Statuses, m.Saw
	if m.Kept {
		wantStatuses += " 200"
		wantSaw = strings.TrimPrefix(wantSaw+"|GET /last a", "|")
	}
	c := l.dial(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.send(m.Send+lastRequest, piece)
	}()
	answers, err := readAnswers(c.in)
	_ = c.Close()
	<-done
	if err != nil {
		t.Errorf("the connection ends with %v", err)
	}
	if got := statuses(answers); got != wantStatuses {
		t.Errorf("answers %q, want %q", got, wantStatuses)
	}
	l.expectSeen(t, wantSaw, m.Begun)
}
