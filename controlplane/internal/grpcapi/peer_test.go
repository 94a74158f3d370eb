package grpcapi

import (
	"context"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// peer is a data plane in the hands of a test: it keeps what it is sent, checks what a data plane checks, and answers when told to.
type peer struct {
	t        *testing.T
	stream   gatewayv1.SyncService_SyncClient
	end      context.CancelFunc
	id       string
	epoch    string
	departs  bool // its id is another one's
	contents map[gatewayv1.Part]*content
}

// content of one part.
type content struct {
	state   *gatewayv1.PartState // nil: nothing was received
	entries map[store.ID][]byte
	staged  map[store.ID][]byte // of a snapshot that is not complete
	chunks  int                 // of the last snapshot
	records int                 // of the last run
}

func (c *content) digest() (d gatewayv1.Digest) {
	for id, value := range c.entries {
		d = d.Add(gatewayv1.EntryDigest(id.Kind, id.ID, value))
	}
	return d
}

func newPeer(t *testing.T, id string) *peer {
	t.Helper()
	return &peer{t: t, id: id, contents: map[gatewayv1.Part]*content{configPart: {}, keysPart: {}}}
}

// dial opens a stream and says nothing.
func (p *peer) dial(w *world) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	if p.departs {
		ctx = metadata.AppendToOutgoingContext(ctx, gatewayv1.DepartingHeader, "1")
	}
	p.end = cancel
	p.t.Cleanup(cancel)
	var err error
	if p.stream, err = gatewayv1.NewSyncServiceClient(w.conn).Sync(ctx); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) hello() *gatewayv1.Hello {
	h := &gatewayv1.Hello{Id: p.id, Instance: "instance of " + p.id, Version: "v1", Address: "10.0.0.1:8080", Epoch: p.epoch}
	for _, part := range parts {
		if c := p.contents[part]; c.state != nil {
			h.Parts = append(h.Parts, c.state)
		}
	}
	return h
}

// connect says Hello and returns the welcome.
func (p *peer) connect(w *world) *gatewayv1.Welcome {
	p.t.Helper()
	p.dial(w)
	p.say(p.hello())
	welcome := p.hear().GetWelcome()
	if welcome == nil {
		p.t.Fatal("the first message is no Welcome")
	}
	if welcome.GetForeign() == "" {
		p.epoch = welcome.GetEpoch()
	}
	return welcome
}

// say sends one message.
func (p *peer) say(m proto.Message) {
	p.t.Helper()
	msg := &gatewayv1.SyncRequest{}
	switch m := m.(type) {
	case *gatewayv1.Hello:
		msg.Message = &gatewayv1.SyncRequest_Hello{Hello: m}
	case *gatewayv1.Applied:
		msg.Message = &gatewayv1.SyncRequest_Applied{Applied: m}
	case *gatewayv1.Rejected:
		msg.Message = &gatewayv1.SyncRequest_Rejected{Rejected: m}
	case *gatewayv1.DataPlaneHeartbeat:
		msg.Message = &gatewayv1.SyncRequest_Heartbeat{Heartbeat: m}
	case *gatewayv1.BreakerReport:
		msg.Message = &gatewayv1.SyncRequest_Breakers{Breakers: m}
	case *gatewayv1.KeyUses:
		msg.Message = &gatewayv1.SyncRequest_KeyUses{KeyUses: m}
	case *gatewayv1.CommandResult:
		msg.Message = &gatewayv1.SyncRequest_CommandResult{CommandResult: m}
	case *gatewayv1.KeyPage:
		msg.Message = &gatewayv1.SyncRequest_KeyPage{KeyPage: m}
	}
	_ = p.stream.Send(msg) // why it failed is what Recv returns
}

// hear returns the next message that is no heartbeat.
func (p *peer) hear() *gatewayv1.SyncResponse {
	p.t.Helper()
	for {
		m, err := p.stream.Recv()
		if err != nil {
			p.t.Fatalf("%s: stream ended: %v", p.id, err)
		}
		if m.GetHeartbeat() == nil {
			return m
		}
	}
}

// ends reads what is left of the stream and returns how it ended.
func (p *peer) ends() *status.Status {
	p.t.Helper()
	for {
		if _, err := p.stream.Recv(); err != nil {
			return status.Convert(err)
		}
	}
}

// take receives one update whole and returns its part.
func (p *peer) take() gatewayv1.Part {
	p.t.Helper()
	for {
		if part, whole := p.apply(p.hear()); whole {
			return part
		}
	}
}

// apply takes one message in and reports whether it ends an update.
func (p *peer) apply(m *gatewayv1.SyncResponse) (part gatewayv1.Part, whole bool) {
	p.t.Helper()
	if size := proto.Size(m); size > gatewayv1.MaxMessage {
		p.t.Errorf("message of %d bytes, want at most %d", size, gatewayv1.MaxMessage)
	}
	if c := m.GetSnapshot(); c != nil {
		return c.GetState().GetPart(), p.applyChunk(c)
	}
	if len(m.GetRecords()) == 0 {
		p.t.Fatalf("%s: got %v, want an update", p.id, m)
	}
	for _, r := range m.GetRecords() {
		part = r.GetPart()
		p.applyRecord(r)
	}
	p.contents[part].records = len(m.GetRecords())
	return part, true
}

func (p *peer) applyChunk(chunk *gatewayv1.SnapshotChunk) (whole bool) {
	p.t.Helper()
	c := p.contents[chunk.GetState().GetPart()]
	if chunk.GetIndex() == 0 {
		c.staged, c.chunks = map[store.ID][]byte{}, 0
	}
	if int(chunk.GetIndex()) != c.chunks {
		p.t.Errorf("chunk %d of %v, want %d", chunk.GetIndex(), chunk.GetState().GetPart(), c.chunks)
	}
	c.chunks++
	for _, e := range chunk.GetEntries() {
		c.staged[store.ID{Kind: e.GetKind(), ID: e.GetId()}] = e.GetValue()
	}
	if !chunk.GetLast() {
		return false
	}
	c.entries, c.state = c.staged, chunk.GetState()
	p.check(c)
	return true
}

func (p *peer) applyRecord(r *gatewayv1.Record) {
	p.t.Helper()
	c := p.contents[r.GetPart()]
	if c.state.GetRevision() >= r.GetRevision() {
		p.t.Errorf("record %d after revision %d", r.GetRevision(), c.state.GetRevision())
	}
	for _, e := range r.GetRemoves() {
		delete(c.entries, store.ID{Kind: e.GetKind(), ID: e.GetId()})
	}
	for _, e := range r.GetPuts() {
		c.entries[store.ID{Kind: e.GetKind(), ID: e.GetId()}] = e.GetValue()
	}
	c.state = &gatewayv1.PartState{Part: r.GetPart(), Revision: r.GetRevision(), Digest: r.GetDigestAfter(), Count: uint64(len(c.entries))}
	p.check(c)
}

func (p *peer) check(c *content) {
	p.t.Helper()
	if got := string(c.digest().Bytes()); got != string(c.state.GetDigest()) {
		p.t.Errorf("%v at revision %d: digest %x, want %x", c.state.GetPart(), c.state.GetRevision(), got, c.state.GetDigest())
	}
}

// answer says that a part is served.
func (p *peer) answer(part gatewayv1.Part) {
	p.t.Helper()
	s := p.contents[part].state
	p.say(&gatewayv1.Applied{Part: part, Revision: s.GetRevision(), Digest: s.GetDigest()})
}

// takeBoth receives and answers one update of each part.
func (p *peer) takeBoth() {
	p.t.Helper()
	for seen := map[gatewayv1.Part]bool{}; len(seen) < 2; {
		part := p.take()
		seen[part] = true
		p.answer(part)
	}
}

// catchUp receives and answers updates until it has the newest revision of a part.
func (p *peer) catchUp(w *world, part gatewayv1.Part) {
	p.t.Helper()
	for p.contents[part].state.GetRevision() < w.publisher.State().Part(part).Revision {
		p.answer(p.take())
	}
}

// joins connects a new data plane and brings it to the head.
func (w *world) joins(id string) *peer {
	w.t.Helper()
	p := newPeer(w.t, id)
	p.connect(w)
	p.takeBoth()
	w.becomes(id, serving)
	return p
}

// leave ends the stream and waits until the control plane knows.
func (p *peer) leave(w *world) {
	p.t.Helper()
	p.end()
	w.becomes(p.id, disconnected)
}

// obey answers the next message, which must be a command.
func (p *peer) obey(pages ...*gatewayv1.KeyPage) {
	p.t.Helper()
	m := p.hear()
	if m.GetCommand() == nil {
		p.t.Fatalf("%s: got %v, want a command", p.id, m)
	}
	for _, page := range pages {
		page.CommandId = m.GetCommand().GetId()
		p.say(page)
	}
	p.say(&gatewayv1.CommandResult{Id: m.GetCommand().GetId()})
}

// idle checks that nothing more is sent: commands come after all there is, the second one at the latest.
func (p *peer) idle(w *world) {
	p.t.Helper()
	for range 2 {
		done := make(chan error, 1)
		go func() {
			done <- w.fleet.Member(p.id).Do(p.stream.Context(), &gatewayv1.Command{Action: &gatewayv1.Command_CheckDigest{}}, nil)
		}()
		p.obey()
		if err := <-done; err != nil {
			p.t.Fatalf("%s: command: %v", p.id, err)
		}
	}
}

// settle takes and answers what is still sent, if anything.
func (p *peer) settle(w *world) {
	p.t.Helper()
	for range 2 { // as in idle
		done := make(chan error, 1)
		go func() {
			done <- w.fleet.Member(p.id).Do(p.stream.Context(), &gatewayv1.Command{Action: &gatewayv1.Command_CheckDigest{}}, nil)
		}()
		m := p.hear()
		for ; m.GetCommand() == nil; m = p.hear() {
			if part, whole := p.apply(m); whole {
				p.answer(part)
			}
		}
		p.say(&gatewayv1.CommandResult{Id: m.GetCommand().GetId()})
		if err := <-done; err != nil {
			p.t.Fatalf("%s: command: %v", p.id, err)
		}
	}
}

// has reports whether it has a key.
func (p *peer) has(name string) bool {
	_, ok := p.contents[keysPart].entries[store.ID{Kind: gatewayv1.Kind_KIND_KEY, ID: name}]
	return ok
}
