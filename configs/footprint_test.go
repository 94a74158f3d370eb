//go:build system

package configs

import "fmt"

// footprint is what a data plane of its own process holds.
type footprint struct{ goroutines, files float64 }

// footprint looks behind a collection of garbage, which the library keeps pipes until.
func (f *fleet) footprint(p *plane) footprint {
	f.t.Helper()
	if _, err := f.try(p.admin, "/debug/pprof/heap?gc=1", ""); err != nil {
		f.t.Fatal(err)
	}
	series := f.metrics(p)
	return footprint{series["go_goroutines"], series["process_open_fds"]}
}

// awaitFootprint returns once a data plane holds no more than before.
func (f *fleet) awaitFootprint(p *plane, before footprint) {
	f.t.Helper()
	now := before
	f.awaitOr(p.name+" to hold no more goroutines and files than before", func() bool {
		now = f.footprint(p)
		return now.goroutines <= before.goroutines && now.files <= before.files
	}, func() string { return fmt.Sprintf("(%+v, before %+v)", now, before) })
}
