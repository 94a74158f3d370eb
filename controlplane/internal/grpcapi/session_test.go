package grpcapi

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestSettle(t *testing.T) {
	head := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "new", nil)
	other := gatewayv1.EntryDigest(gatewayv1.Kind_KIND_KEY, "old", nil)
	have := func(revision uint64, digest gatewayv1.Digest, ours bool) publish.Have {
		return publish.Have{Revision: revision, Digest: digest, Ours: ours}
	}
	snapshot := func(sent int) flow {
		return flow{inFlight: true, sent: sent, update: publish.Update{Kind: publish.Snapshot, Chunks: make([]publish.Encoded, 3), To: have(7, head, true)}}
	}
	for _, test := range []struct {
		name     string
		flow     flow // Welcome says revision 7, digest head
		foreign  string
		revision uint64
		digest   *gatewayv1.Digest // nil: rejected
		want     meaning
		code     codes.Code
		have     publish.Have // afterwards
	}{
		{"answer to an update", snapshot(3), "", 7, &head, taken, codes.OK, have(7, head, true)},
		{"rejected", snapshot(3), "", 7, nil, taken, codes.OK, have(7, head, true)},
		{"answer with another content", snapshot(3), "", 7, &other, drifted, codes.DataLoss, have(7, head, true)},
		{
			"answer to records with another content",
			flow{inFlight: true, sent: 1, update: publish.Update{Kind: publish.Records, To: have(7, head, true)}},
			"", 7, &other, drifted, codes.OK, have(7, head, false),
		},
		{"taken over while its snapshot is sent", snapshot(1), "", 7, &head, taken, codes.OK, have(0, gatewayv1.Digest{}, false)},
		{"taken over before anything is sent", flow{have: have(900, head, false)}, "", 7, &head, taken, codes.OK, have(7, head, true)},
		{"taken over and rejected", flow{have: have(900, head, false)}, "", 7, nil, taken, codes.OK, have(7, head, true)},
		{"answer before the last piece", snapshot(1), "", 7, &other, old, codes.InvalidArgument, have(0, gatewayv1.Digest{}, false)},
		{"said again", flow{have: have(7, head, true)}, "", 7, &head, taken, codes.OK, have(7, head, true)},
		{"said again, before it was compared", flow{have: have(7, head, true), claimed: true}, "", 7, &head, old, codes.OK, have(7, head, true)},
		{"of an earlier revision", flow{have: have(7, head, true)}, "", 5, &other, old, codes.OK, have(7, head, true)},
		{"of an epoch before", flow{have: have(900, other, false)}, "", 900, &other, old, codes.OK, have(900, other, false)},
		{"of nothing that was sent", flow{have: have(7, head, true)}, "", 8, &other, old, codes.InvalidArgument, have(7, head, true)},
		{"foreign", flow{have: have(9, other, false)}, "why", 10, &other, old, codes.OK, have(9, other, false)},
	} {
		t.Run(test.name, func(t *testing.T) {
			ses := newSession(&syncServer{timings: defaultTimings}, nil, &gatewayv1.Hello{})
			ses.foreign, ses.flows[keysFlow] = test.foreign, test.flow
			ses.atStart[keysFlow] = have(7, head, true)
			got, err := ses.settle(report{"applied", keysPart, test.revision, test.digest})
			if got != test.want {
				t.Errorf("settle() = %v, want %v", got, test.want)
			}
			wantStatus(t, err, test.code, "")
			if f := &ses.flows[keysFlow]; f.have != test.have {
				t.Errorf("it has %+v, want %+v", f.have, test.have)
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	records := func(sentAt time.Time) flow {
		return flow{inFlight: true, sent: 1, sentAt: sentAt, update: publish.Update{Kind: publish.Records, To: publish.Have{Revision: 7}}}
	}
	for _, test := range []struct {
		name  string
		setup func(ses *session)
		want  string
	}{
		{"new", func(*session) {}, ""},
		{"silent", func(ses *session) { ses.began = ses.began.Add(-16 * time.Second) }, "sync: silent for 16s (want a heartbeat every 5s)"},
		{"it does not read", func(ses *session) {
			ses.began = ses.began.Add(-time.Minute)
			ses.heard.Store(int64(time.Minute))
			ses.sending.Store(int64(29 * time.Second))
		}, "sync: a message was not read within 30s"},
		{"a long snapshot is being sent", func(ses *session) {
			ses.flows[keysFlow] = flow{inFlight: true, sentAt: long}
		}, ""},
		{
			"no answer", func(ses *session) { ses.flows[keysFlow] = records(time.Now().Add(-31 * time.Second)) },
			"sync: no answer to revision 7 of PART_KEYS within 30s",
		},
		{"the first configuration waits for the keys", func(ses *session) {
			ses.flows[configFlow] = records(long)
			ses.flows[keysFlow] = flow{inFlight: true, update: publish.Update{Kind: publish.Snapshot, Chunks: make([]publish.Encoded, 3)}}
		}, ""},
		{"they may have to be read from the store first", func(ses *session) { ses.flows[configFlow] = records(long) }, ""},
		{"a configuration does not wait for a change of a key", func(ses *session) {
			ses.flows[configFlow], ses.flows[keysFlow] = records(long), records(time.Now())
			ses.flows[keysFlow].have.Ours = true
		}, "sync: no answer to revision 7 of PART_CONFIG within 30s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ses := newSession(&syncServer{timings: defaultTimings}, nil, &gatewayv1.Hello{})
			test.setup(ses)
			if got := ses.overdue(); got != test.want {
				t.Errorf("overdue() = %q, want %q", got, test.want)
			}
		})
	}
}

// The time for a configuration that waited for the keys begins when they are there.
func TestConfigAnswersAfterTheKeys(t *testing.T) {
	ses := newSession(&syncServer{timings: defaultTimings}, nil, &gatewayv1.Hello{})
	ses.flows[configFlow] = flow{inFlight: true, sent: 1, sentAt: time.Now().Add(-time.Hour)}
	to := publish.Have{Revision: 7, Ours: true}
	ses.flows[keysFlow] = flow{inFlight: true, sent: 1, sentAt: time.Now(), update: publish.Update{Kind: publish.Snapshot, Chunks: make([]publish.Encoded, 1), To: to}}
	if is, err := ses.settle(report{"applied", keysPart, 7, &to.Digest}); is != taken || err != nil {
		t.Fatalf("settle() = %v, %v", is, err)
	}
	if got := ses.overdue(); got != "" {
		t.Errorf("overdue() = %q, want nothing", got)
	}
}
