package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const wrkPrinted = `Running 3s test @ http://127.0.0.1:9710/users
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   791.58us    1.29ms  30.12ms   97.51%
    Req/Sec    48.25k     5.68k   56.80k    76.67%
  Latency Distribution
     50%  562.00us
     75%  760.00us
     90%    1.11ms
     99%    5.78ms
  148517 requests in 3.10s, 18.70MB read
`

func TestParseWrk(t *testing.T) {
	tests := []struct {
		name, text string
		want       sample
		err        string
	}{
		{name: "fine", text: wrkPrinted + "Requests/sec:  47908.05\n", want: sample{requests: 148517, lasted: 3100 * time.Millisecond, p99: 5780 * time.Microsecond}},
		{name: "refused", text: wrkPrinted + "  Non-2xx or 3xx responses: 12\nRequests/sec:  47908.05\n", err: "Non-2xx or 3xx responses: 12"},
		{name: "broken", text: wrkPrinted + "  Socket errors: connect 0, read 3, write 0, timeout 0\n", err: "Socket errors: connect 0, read 3, write 0, timeout 0"},
		{name: "nothing", text: "unable to connect\n", err: "want requests and a 99% line"},
		{name: "without --latency", text: "  1 requests in 3.10s, 18.70MB read\n", err: "want requests and a 99% line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseWrk(tt.text)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(sample{})); diff != "" || !matches(err, tt.err) {
				t.Errorf("parseWrk: error %v, want %q; (-want +got)\n%s", err, tt.err, diff)
			}
		})
	}
}
