package configs

import (
	"regexp"
	"strconv"
)

// usage is what a plane of its own process has in use.
type usage struct {
	heap, stacks int // bytes, without garbage and pools
	goroutines   int
	descriptors  int
}

func (u usage) bytes() int { return u.heap + u.stacks }

var inUse = regexp.MustCompile(`(?m)^# (HeapAlloc|Stack) = (\d+)`)

func (f *fleet) usage(p *plane) (u usage) {
	f.t.Helper()
	var page answer
	for range 2 { // it takes two collections to empty a pool
		var err error
		if page, err = f.try(p.admin, "/debug/pprof/heap?gc=1&debug=1", ""); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, m := range inUse.FindAllStringSubmatch(page.body, -1) {
		n, _ := strconv.Atoi(m[2])
		if m[1] == "Stack" {
			u.stacks = n
		} else {
			u.heap = n
		}
	}
	series := f.metrics(p)
	u.goroutines, u.descriptors = int(series["go_goroutines"]), int(series["process_open_fds"])
	if u.heap == 0 || u.stacks == 0 || u.goroutines == 0 {
		f.t.Fatalf("%s tells %+v, want heap, stacks and goroutines", p.name, u)
	}
	return u
}
