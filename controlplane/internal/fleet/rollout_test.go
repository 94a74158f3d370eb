package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestStanding(t *testing.T) {
	type rollout = gatewayv1.Rollout
	applied := func(ms float64) []*gatewayv1.AppliedBy { return []*gatewayv1.AppliedBy{{Dataplane: "a", AfterMs: ms}} }
	lagging := func(revision uint64) []*gatewayv1.LaggingBy {
		return []*gatewayv1.LaggingBy{{Dataplane: "a", Revision: revision}}
	}
	rejected := func(reason string) []*gatewayv1.RejectedBy {
		return []*gatewayv1.RejectedBy{{Dataplane: "a", Reason: reason}}
	}
	key := Change{Part: keysPart, Revision: 7}
	config := Change{Part: configPart, Revision: 7}
	revocation := Change{Part: keysPart, Revision: 7, Revocation: true}
	for _, test := range []struct {
		name   string
		script func(b *bench)
		change Change
		want   Standing
	}{
		{"nobody is connected", func(*bench) {}, key, Standing{Rollout: &rollout{}}},
		{"applied", func(b *bench) {
			a := b.connect("a")
			b.advance(3*time.Millisecond + 100*time.Microsecond)
			a.applied(keysPart, 7)
			b.advance(time.Hour)
		}, key, Standing{Rollout: &rollout{Applied: applied(3.1)}, Proven: true}},
		{"the first report counts, not a later one", func(b *bench) {
			a := b.connect("a")
			b.advance(time.Millisecond)
			a.applied(keysPart, 8)
			b.advance(time.Second)
			a.applied(keysPart, 8)
			a.applied(keysPart, 9)
		}, key, Standing{Rollout: &rollout{Applied: applied(1)}, Proven: true}},
		{"the other part does not count", func(b *bench) {
			a := b.connect("a")
			a.applied(configPart, 9)
			a.applied(keysPart, 6)
		}, key, Standing{Rollout: &rollout{Lagging: lagging(6)}}},
		{"what Hello says proves nothing", func(b *bench) {
			b.connect("a", has(keysPart, 9))
		}, key, Standing{Rollout: &rollout{Lagging: lagging(9)}}},
		{"what Hello says, confirmed", func(b *bench) {
			b.advance(time.Second)
			a := b.connect("a", has(keysPart, 9))
			a.Confirmed(a.stream, keysPart)
		}, key, Standing{Rollout: &rollout{Applied: applied(1000)}, Proven: true}},
		{"drifted", func(b *bench) {
			a := b.connect("a")
			a.applied(keysPart, 7)
			a.Drifted(a.stream, keysPart)
		}, key, Standing{Rollout: &rollout{Lagging: lagging(7)}}},
		{"drifted and mended", func(b *bench) {
			a := b.connect("a")
			a.applied(keysPart, 7)
			a.Drifted(a.stream, keysPart)
			b.advance(time.Millisecond)
			a.applied(keysPart, 7)
		}, key, Standing{Rollout: &rollout{Applied: applied(1)}, Proven: true}},
		{"rejected", func(b *bench) {
			a := b.connect("a")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 7, Entry: "users", Reason: "no such middleware"})
		}, config, Standing{Rollout: &rollout{Rejected: rejected("revision 7: users: no such middleware")}, Final: true}},
		{"rejected with a reason that names the service", func(b *bench) {
			a := b.connect("a")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 7, Entry: "users", Reason: `service "users": no such middleware`})
		}, config, Standing{Rollout: &rollout{Rejected: rejected(`revision 7: service "users": no such middleware`)}, Final: true}},
		{"rejected after the change was served", func(b *bench) {
			a := b.connect("a")
			a.applied(configPart, 7)
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 8, Reason: "no"})
		}, config, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"a rejected configuration holds no key back", func(b *bench) {
			a := b.connect("a")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 8, Reason: "no"})
			a.applied(keysPart, 7)
		}, key, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"one rejected, another may still answer", func(b *bench) {
			a := b.connect("a")
			b.connect("b")
			a.Rejected(a.stream, &gatewayv1.Rejected{Part: configPart, Revision: 7, Reason: "no"})
		}, config, Standing{Rollout: &rollout{Rejected: rejected("revision 7: no"), Lagging: []*gatewayv1.LaggingBy{{Dataplane: "b"}}}}},
		{"unusable there", func(b *bench) {
			a := b.connect("a")
			a.Applied(a.stream, &gatewayv1.Applied{Part: keysPart, Revision: 7, Unusable: []*gatewayv1.UnusableEntry{{Id: "alice", Reason: "two secrets too many"}}}, gatewayv1.Digest{})
		}, Change{Part: keysPart, Revision: 7, Entry: "alice"}, Standing{Rollout: &rollout{Rejected: rejected("unusable: two secrets too many")}, Final: true}},
		{"another key is unusable there", func(b *bench) {
			a := b.connect("a")
			a.Applied(a.stream, &gatewayv1.Applied{Part: keysPart, Revision: 7, Unusable: []*gatewayv1.UnusableEntry{{Id: "alice", Reason: "no"}}}, gatewayv1.Digest{})
		}, Change{Part: keysPart, Revision: 7, Entry: "bob"}, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"unusable there, as it says when it comes back", func(b *bench) {
			a := b.connect("a", has(keysPart, 9), unusable("alice", "no"))
			a.Confirmed(a.stream, configPart)
			a.Confirmed(a.stream, keysPart)
		}, Change{Part: keysPart, Revision: 7, Entry: "alice"}, Standing{Rollout: &rollout{Rejected: rejected("unusable: no")}, Final: true}},
		{"unusable when it came back, and mended", func(b *bench) {
			a := b.connect("a", has(keysPart, 9), unusable("alice", "no"))
			a.Confirmed(a.stream, keysPart)
			a.applied(keysPart, 10)
		}, Change{Part: keysPart, Revision: 10, Entry: "alice"}, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"no configuration is unusable for a key's sake", func(b *bench) {
			a := b.connect("a", has(configPart, 9), unusable("alice", "no"))
			a.Confirmed(a.stream, configPart)
		}, Change{Part: configPart, Revision: 7, Entry: "alice"}, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"not durable", func(b *bench) {
			a := b.connect("a")
			a.Applied(a.stream, &gatewayv1.Applied{Part: keysPart, Revision: 7, NotDurable: true}, gatewayv1.Digest{})
		}, key, Standing{Rollout: &rollout{Applied: []*gatewayv1.AppliedBy{{Dataplane: "a", NotDurable: true}}}, Proven: true}},
		{"not durable at first", func(b *bench) {
			a := b.connect("a")
			a.Applied(a.stream, &gatewayv1.Applied{Part: keysPart, Revision: 7, NotDurable: true}, gatewayv1.Digest{})
			b.advance(time.Minute)
			a.applied(keysPart, 7)
		}, key, Standing{Rollout: &rollout{Applied: applied(0)}, Proven: true}},
		{"foreign", func(b *bench) {
			b.connect("a", foreign("another store"))
		}, key, Standing{Rollout: &rollout{Rejected: []*gatewayv1.RejectedBy{
			{Dataplane: "a", Reason: "foreign: another store", Foreign: true},
		}}, Final: true}},
		{"disconnected, nothing was taken away", func(b *bench) {
			b.connect("a").applied(keysPart, 7)
			b.connect("b").leave()
		}, key, Standing{Rollout: &rollout{Applied: applied(0), Disconnected: away("b", 0)}, Proven: true}},
		{"disconnected, and may still accept a revoked key", func(b *bench) {
			b.connect("b").leave()
			b.advance(24*time.Hour - time.Second)
			b.connect("a").applied(keysPart, 7)
		}, revocation, Standing{Rollout: &rollout{Applied: applied((24*time.Hour - time.Second).Seconds() * 1e3), Disconnected: away("b", 0)}}},
		{"disconnected for a day", func(b *bench) {
			b.connect("b").leave()
			b.advance(24 * time.Hour)
			b.connect("a").applied(keysPart, 7)
		}, revocation, Standing{Rollout: &rollout{Applied: applied(24 * 3600 * 1e3)}, Proven: true}},
		{"gone after it was served", func(b *bench) {
			a := b.connect("a")
			a.applied(keysPart, 7)
			a.leave()
		}, key, Standing{Rollout: &rollout{Disconnected: away("a", 0)}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			test.change.CommittedAt = b.clock()
			test.script(b)
			if diff := cmp.Diff(test.want, b.Standing(test.change), protocmp.Transform()); diff != "" {
				t.Errorf("Standing() differs (-want +got):\n%s", diff)
			}
		})
	}
}

// away is the row of a data plane that left at the start of a test, or so much later.
func away(id string, after time.Duration) []*gatewayv1.DisconnectedFrom {
	seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(after)
	return []*gatewayv1.DisconnectedFrom{{Dataplane: id, LastSeenAtMs: seen.UnixMilli()}}
}

func TestStandingWithoutTheMomentOfTheCommit(t *testing.T) {
	b := newBench(t)
	b.connect("a").applied(keysPart, 7)
	got := b.Standing(Change{Part: keysPart, Revision: 7})
	if ms := got.Rollout.GetApplied()[0].GetAfterMs(); !got.Proven || ms != 0 {
		t.Errorf("Standing() = proven %v after %v ms, want proven after 0", got.Proven, ms)
	}
}

// A long history is cut, and what it said goes on being proven.
func TestStandingOfAnOldChange(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	for revision := range uint64(10 * maxHistory) {
		a.applied(keysPart, revision+1)
	}
	if got := b.Standing(Change{Part: keysPart, Revision: 1}); !got.Proven {
		t.Errorf("Standing() = %v, want proven", got.Rollout)
	}
	if n := len(a.served[index(keysPart)].history); n >= 2*maxHistory {
		t.Errorf("the history holds %d reports, want less than %d", n, 2*maxHistory)
	}
}
