package grpcapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// A long snapshot of the keys comes in pieces, and a change of the configuration overtakes it.
func TestConfigOvertakesASnapshot(t *testing.T) {
	w := newWorld(t, options{})
	for i := range 20 {
		names := make([]string, 1000)
		for j := range names {
			names[j] = fmt.Sprintf("key-%05d", 1000*i+j)
		}
		w.putKeys(names, 120)
	}
	p := newPeer(t, "a")
	p.connect(w)
	var chunksBefore int
	for changed := false; ; {
		part, whole := p.apply(p.hear())
		c := p.contents[configPart]
		switch {
		case part == configPart && whole && !changed:
			p.answer(configPart)
			w.load(configOf("users", "carts"))
			changed = true
		case part == configPart && whole:
			chunksBefore = p.contents[keysPart].chunks
			if c.records != 1 {
				t.Errorf("the change came as %d records", c.records)
			}
			p.answer(configPart)
		case whole:
			p.answer(keysPart)
			if n := p.contents[keysPart].chunks; n < 3 || chunksBefore == 0 && n > 0 || chunksBefore >= n {
				t.Errorf("%d chunks, the change of the configuration after %d of them, want it before the last", n, chunksBefore)
			}
			p.catchUp(w, keysPart) // carol goes with the file
			w.becomes("a", serving)
			return
		}
	}
}

// A data plane that does not read holds nobody up. When it reads again, it is one update behind its last one.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, options{})
	quick, slow := w.joins("quick"), w.joins("slow")
	const changes = 300
	for i := range changes {
		w.putKeys([]string{"big"}, 10_000+i) // more in all than any buffer between holds
		quick.take()
		quick.answer(keysPart)
	}
	w.becomes("quick", serving)
	w.becomes("slow", lagging)
	updates := 0
	for slow.contents[keysPart].state.GetRevision() < w.publisher.State().Keys.Revision {
		slow.answer(slow.take())
		updates++
	}
	w.becomes("slow", serving)
	if updates > 10 {
		t.Errorf("it took %d updates to catch up with %d changes, want runs of many", updates, changes)
	}
}

// One that does not even take a message is cut, though it goes on telling that it is alive.
func TestReaderThatNeverReads(t *testing.T) {
	w := newWorld(t, options{timings: timings{hello: time.Hour, answer: 50 * time.Millisecond, heartbeat: 100 * time.Millisecond}})
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("key-", i)
	}
	w.putKeys(names, 1000)
	p := newPeer(t, "a")
	p.connect(w)
	p.answer(p.take())
	go func() {
		for p.stream.Send(&gatewayv1.SyncRequest{Message: &gatewayv1.SyncRequest_Heartbeat{Heartbeat: &gatewayv1.DataPlaneHeartbeat{}}}) == nil {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-p.stream.Context().Done():
			}
		}
	}()
	w.becomes("a", disconnected)
	if got := p.ends(); got.Code() != codes.DeadlineExceeded || got.Message() != "sync: a message was not read within 50ms" {
		t.Errorf("stream ended with %v", got)
	}
}

func TestClockOffset(t *testing.T) {
	now := time.UnixMicro(1_000_000_000)
	for _, test := range []struct {
		name string
		beat *gatewayv1.DataPlaneHeartbeat
		want time.Duration
	}{
		{"no echo", &gatewayv1.DataPlaneHeartbeat{TimeUs: 1_000_500_000}, 500 * time.Millisecond},
		{"20 ms there and back, held for 3 s", &gatewayv1.DataPlaneHeartbeat{TimeUs: 1_000_490_000, EchoTimeUs: 996_980_000, EchoHeldUs: 3_000_000}, 500 * time.Millisecond},
		{"behind", &gatewayv1.DataPlaneHeartbeat{TimeUs: 993_990_000, EchoTimeUs: 999_980_000}, -6 * time.Second},
		{"an echo from the future", &gatewayv1.DataPlaneHeartbeat{TimeUs: 1_000_000_000, EchoTimeUs: 2_000_000_000}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := clockOffset(test.beat, now); got != test.want {
				t.Errorf("clockOffset() = %v, want %v", got, test.want)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{"übergroß", 8, "übergro"},
		{"übergroß", 9, "übergro"},
		{"a\x1b[0m\nb\u202ec", 100, "a [0m b c"},
		{strings.Repeat("x", 11), 10, strings.Repeat("x", 10)},
	} {
		if got := clean(test.in, test.limit); got != test.want {
			t.Errorf("clean(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}
