//go:build system

package configs

import (
	"os/exec"
	"strings"
	"testing"
)

// bugs are the switches that re-introduce one bug each, and the test that has to notice it. Without its tag the same test passes: it is
// part of every run.
var bugs = []struct{ tag, folder, test string }{
	{"bug_revive_key", "dataplane/internal/cache", "TestFlippedBits"},
	{"bug_apply_unchecked", "dataplane/internal/snapshot", "TestRejectionChangesNothing"},
	{"bug_count_aborts", "dataplane/internal/upstream", "TestClientGone"},
	{"bug_pool_dirty", "dataplane/internal/upstream", "TestSurplusAnswersNobody"},
	{"bug_ack_early", "controlplane/internal/publish", "TestNothingIsShownBeforeItIsStored"},
	{"bug_unbounded_queue", "controlplane/internal/grpcapi", "TestStalledReaderIsBounded"},
}

// A harness that cannot fail proves nothing.
func TestEachBugIsCaught(t *testing.T) {
	for _, bug := range bugs {
		t.Run(bug.tag, func(t *testing.T) {
			t.Parallel()
			args := []string{"test", "-count=1", "-timeout=2m", "-tags=" + bug.tag, "-run=^" + bug.test + "$", "apigateway/" + bug.folder}
			out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
			if err == nil {
				t.Fatalf("%s passes with %s, want it to fail:\n%s", bug.test, bug.tag, out)
			}
			if !strings.Contains(string(out), "--- FAIL: "+bug.test) {
				t.Fatalf("%s with %s: %v, want the test to fail and not its build:\n%s", bug.test, bug.tag, err, out)
			}
		})
	}
}
