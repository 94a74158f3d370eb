package configsync

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"apigateway/dataplane/internal/cache"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Whatever a control plane says, nothing panics, and what is told as served is what is served.
func FuzzMessages(f *testing.F) {
	s := standard()
	add := func(r *gatewayv1.SyncResponse) { f.Add(marshal(r)) }
	add(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Welcome{Welcome: s.welcome()}})
	add(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Snapshot{Snapshot: s.chunks(keysID, 9)[0]}})
	add(&gatewayv1.SyncResponse{Message: &gatewayv1.SyncResponse_Snapshot{Snapshot: s.chunks(configID, 9)[0]}})
	add(&gatewayv1.SyncResponse{Records: []*gatewayv1.Record{
		s.change(keysID, map[cache.Ref][]byte{key("alice"): nil}),
		s.change(keysID, map[cache.Ref][]byte{key("bob"): keyValue("bob's")}),
	}})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(gatewayv1.SyncResponse)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		d := newDataplane(t, nil)
		defer d.opts.Live.Close()
		r, s := d.replica, standard()
		r.takeWelcome(s.welcome())
		for _, id := range []gatewayv1.Part{keysID, configID} {
			if _, err := r.takeChunk(s.chunks(id, 9)[0]); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case m.GetWelcome() != nil:
			r.takeWelcome(m.GetWelcome())
		case m.GetSnapshot() != nil:
			_, _ = r.takeChunk(m.GetSnapshot()) // ends the stream, not more
		case len(m.GetRecords()) > 0:
			_, _ = r.takeRecords(m.GetRecords()) // likewise
		}
		if d.hold.Load() == nil {
			t.Error("nothing is served any more")
		}
		if got := digestOf(r.keys.all()); got != r.keys.digest {
			t.Errorf("digest of the keys = %v, kept %v", got, r.keys.digest)
		}
		for _, part := range *r.serving.Load() {
			if part.GetPart() == configID && string(d.hold.Load().Digest.Bytes()) != string(part.GetDigest()) {
				t.Error("told as served is not what is served")
			}
		}
	})
}
