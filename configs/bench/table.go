package main

import (
	"fmt"
	"slices"
	"strings"
)

// table is how the scenarios of one kind are printed.
type table struct {
	title   string
	columns []column
	after   func([]result) string // what follows; nil: nothing
}

// column makes a cell for one proxy of one scenario.
type column struct {
	head string
	cell func(r result, proxy int) string
}

// tables in the order of the report.
var tables = []*table{requestTable, bodyTable, tlsTable, idleTable, allocationTable, strictnessTable}

var (
	requestTable = &table{
		title:   "CPU time per request, small body.",
		columns: []column{scenarioColumn, loadColumn, proxyColumn, costColumn, rateColumn, p99Column, inUseColumn, ratioColumn},
	}
	bodyTable = &table{
		title:   "CPU time per GiB, and the most memory in use since the start.",
		columns: []column{scenarioColumn, loadColumn, proxyColumn, costColumn, rateColumn, inUseColumn, peakColumn, ratioColumn},
	}
	tlsTable = &table{
		title: "TLS 1.3, ECDSA P-256, X25519, AES-128-GCM. " +
			"A handshake is a full one, with a TCP connection, one request and the end of both; half-rate is half of what HAProxy did at most.",
		columns: []column{scenarioColumn, loadColumn, proxyColumn, costColumn, {"per CPU second", perCPUSecond}, rateColumn, p99Column, inUseColumn, ratioColumn},
	}
	idleTable = &table{
		title:   "Memory of each idle connection that has served one request (proportional set size, all processes; of ours after two collections).",
		columns: []column{scenarioColumn, loadColumn, proxyColumn, {"memory", cost}, ratioColumn},
	}
	allocationTable = &table{
		title:   "Allocations, full chain, as the Go runtime counts them.",
		columns: []column{scenarioColumn, loadColumn, proxyColumn, {"allocations", cost}},
	}
	strictnessTable = &table{
		title:   "Raw requests: malformed ones that got a 2xx or reached the backend whole, and legal ones that did not get a 2xx.",
		columns: []column{scenarioColumn, proxyColumn, {"malformed accepted", malformedAccepted}, {"legal refused", legalRefused}},
		after:   misjudgedByName,
	}
)

var (
	scenarioColumn = column{"scenario", func(r result, i int) string { return firstOnly(i, r.name) }}
	loadColumn     = column{"connections, cores", func(r result, i int) string { return firstOnly(i, fmt.Sprintf("%d, %d", r.connections, r.cores)) }}
	proxyColumn    = column{"proxy", func(r result, i int) string { return r.names[i] }}
	costColumn     = column{"CPU", cost}
	rateColumn     = column{"rate", func(r result, i int) string {
		return fmt.Sprintf("%.0f %s", median(each(r.samples[i], r.per.rate)), r.per.of)
	}}
	p99Column = column{"p99", func(r result, i int) string {
		return fmt.Sprintf("%.2f ms", median(each(r.samples[i], func(s sample) float64 { return s.p99.Seconds() * 1e3 })))
	}}
	inUseColumn = column{"in use", func(r result, i int) string {
		return fmt.Sprintf("%.0f %%", median(each(r.samples[i], func(s sample) float64 { return 100 * s.cpu.Seconds() / s.lasted.Seconds() / float64(r.cores) })))
	}}
	peakColumn = column{"peak memory", func(r result, i int) string {
		return fmt.Sprintf("%.1f MiB", slices.Max(each(r.samples[i], func(s sample) float64 { return float64(s.peak) / mib })))
	}}
	ratioColumn = column{"gateway ÷ it (95 %)", func(r result, i int) string {
		if ours := slices.Index(r.names, gateway); ours >= 0 && ours != i {
			return ratio(r.costs(ours), r.costs(i)).String()
		}
		return "–"
	}}
)

// firstOnly says once what holds for all proxies of a scenario.
func firstOnly(proxy int, text string) string {
	if proxy > 0 {
		return ""
	}
	return text
}

func cost(r result, i int) string { return fmt.Sprintf("%.1f %s", median(r.costs(i)), r.per.name) }

func perCPUSecond(r result, i int) string { return fmt.Sprintf("%.0f", 1e6/median(r.costs(i))) }

// markdown is the table of those results that belong in it; with none, it is empty.
func (t *table) markdown(results []result) string {
	results = slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.in != t })
	if len(results) == 0 {
		return ""
	}
	var out strings.Builder
	heads, rules := make([]string, len(t.columns)), make([]string, len(t.columns))
	for i, c := range t.columns {
		heads[i], rules[i] = c.head, "--:"
		if c.head == scenarioColumn.head || c.head == loadColumn.head || c.head == proxyColumn.head {
			rules[i] = "---"
		}
	}
	fmt.Fprintf(&out, "**%s**\n\n| %s |\n|%s|\n", t.title, strings.Join(heads, " | "), strings.Join(rules, "|"))
	for _, r := range results {
		for i := range r.names {
			cells := make([]string, len(t.columns))
			for k, c := range t.columns {
				cells[k] = c.cell(r, i)
			}
			fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	out.WriteString("\n")
	if t.after != nil {
		out.WriteString(t.after(results))
	}
	return out.String()
}
