package grpcapi

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// plane is a data plane of the state machine. It takes in what it is sent at once and checks it; it answers when told to.
type plane struct {
	x            *machine
	id, instance string
	epoch        string
	contents     map[gatewayv1.Part]*content

	*wire
	open    bool
	welcome *gatewayv1.Welcome
	busy    map[gatewayv1.Part]time.Time // since when a whole update is here and not answered
	lacks   map[gatewayv1.Part]bool      // a snapshot may come
	full    map[gatewayv1.Part]bool      // the last update of this stream was a snapshot
	told    map[gatewayv1.Part]uint64    // the newest revision that it truly reported on this stream
	said    time.Time
	silent  bool
	faulty  bool // the stream may end at any moment
	doomed  bool // it does: what still comes counts for nothing
}

// wire is one stream and the goroutine that reads it.
type wire struct {
	stream  gatewayv1.SyncService_SyncClient
	cancel  context.CancelFunc
	in      chan *gatewayv1.SyncResponse
	mu      sync.Mutex
	gate    *sync.Cond
	reading bool
	ended   error
}

func (w *wire) receive() {
	defer close(w.in)
	for {
		w.mu.Lock()
		for !w.reading {
			w.gate.Wait()
		}
		w.mu.Unlock()
		m, err := w.stream.Recv()
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = err
			return
		}
		w.in <- m
	}
}

func (w *wire) read(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading = on
	w.gate.Broadcast()
}

func (w *wire) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

func (p *plane) hello() *gatewayv1.Hello {
	h := &gatewayv1.Hello{Id: p.id, Instance: p.instance, Epoch: p.epoch}
	for _, s := range p.states() {
		h.Parts = append(h.Parts, proto.CloneOf(s))
	}
	return h
}

func (p *plane) states() (list []*gatewayv1.PartState) {
	for _, part := range parts {
		if s := p.contents[part].state; s != nil {
			list = append(list, s)
		}
	}
	return list
}

// connect opens a stream that begins with h.
func (p *plane) connect(h *gatewayv1.Hello) {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := gatewayv1.NewSyncServiceClient(p.x.w.conn).Sync(ctx)
	if err != nil {
		p.x.rt.Fatal(err)
	}
	p.wire = &wire{stream: stream, cancel: cancel, in: make(chan *gatewayv1.SyncResponse, 10_000), reading: true}
	p.gate = sync.NewCond(&p.mu)
	go p.receive()
	p.open, p.welcome, p.said, p.silent, p.doomed = true, nil, time.Now(), false, false
	p.faulty = p.instance == "second"
	p.busy, p.told = map[gatewayv1.Part]time.Time{}, map[gatewayv1.Part]uint64{}
	p.lacks, p.full = map[gatewayv1.Part]bool{}, map[gatewayv1.Part]bool{}
	for _, part := range parts {
		p.contents[part].staged = nil
		p.lacks[part] = true
	}
	for _, s := range h.GetParts() {
		own := p.contents[s.GetPart()].state
		if h.GetEpoch() == p.epoch && proto.Equal(own, s) {
			p.lacks[s.GetPart()] = false
			p.told[s.GetPart()] = s.GetRevision()
			p.x.note(p.id, s.GetPart(), s.GetRevision())
		}
	}
	p.say(h)
}

// note remembers what was truly reported.
func (x *machine) note(id string, part gatewayv1.Part, revision uint64) {
	k := fmt.Sprint(id, part)
	x.ever[k] = max(x.ever[k], revision)
}

func (p *plane) hangUp() {
	if p.wire == nil {
		return
	}
	p.faulty = true
	p.read(true)
	p.cancel()
}

func (p *plane) say(m proto.Message) {
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
	}
	p.said = time.Now()
	_ = p.stream.Send(msg) // why it failed is what Recv returns
}

// answerAll says of all that it has that it is served.
func (p *plane) answerAll() {
	for _, part := range parts {
		if !p.busy[part].IsZero() {
			p.applied(part)
		}
	}
}

func (p *plane) applied(part gatewayv1.Part) {
	s := p.contents[part].state
	if part == keysPart && !p.busy[configPart].IsZero() {
		p.busy[configPart] = time.Now() // its answer may have waited for the keys
	}
	delete(p.busy, part)
	p.told[part] = s.GetRevision()
	p.x.note(p.id, part, s.GetRevision())
	p.say(&gatewayv1.Applied{Part: part, Revision: s.GetRevision(), Digest: s.GetDigest()})
}

// poll takes in what has come.
func (p *plane) poll() (some bool) {
	for p.wire != nil && p.open {
		select {
		case m, ok := <-p.in:
			some = true
			if !ok {
				p.end()
				return some
			}
			p.hear(m)
		default:
			return some
		}
	}
	return some
}

func (p *plane) end() {
	p.open = false
	p.told = map[gatewayv1.Part]uint64{}
	p.cancel()
	if p.faulty {
		return
	}
	for part, since := range p.busy {
		if time.Since(since) >= defaultTimings.answer {
			return
		}
		_ = part
	}
	p.x.rt.Fatalf("%s did all that it should and was cut: %v", p.id, p.err())
}

// overdue says why a stream should have been cut by now.
func (p *plane) overdue() string {
	const slack = 2 * time.Second
	if silent := time.Since(p.said); silent > 3*defaultTimings.heartbeat+slack {
		return fmt.Sprintf("silent for %v", silent)
	}
	for part, since := range p.busy {
		keys := p.contents[keysPart]
		if part == configPart && (!p.busy[keysPart].IsZero() || keys.staged != nil) {
			continue
		}
		if late := time.Since(since); late > defaultTimings.answer+slack {
			return fmt.Sprintf("no answer of %v for %v", part, late)
		}
	}
	return ""
}

// staging returns the parts of which a snapshot is not complete.
func (p *plane) staging() (list []gatewayv1.Part) {
	for part, c := range p.contents {
		if c.staged != nil {
			list = append(list, part)
		}
	}
	return list
}

func (p *plane) hear(m *gatewayv1.SyncResponse) {
	if p.doomed {
		return
	}
	if size := proto.Size(m); size > gatewayv1.MaxMessage {
		p.x.rt.Fatalf("message of %d bytes", size)
	}
	switch {
	case m.GetWelcome() != nil:
		p.hearWelcome(m.GetWelcome())
	case m.GetSnapshot() != nil:
		p.mayCome(m.GetSnapshot().GetState().GetPart())
		p.hearChunk(m.GetSnapshot())
	case len(m.GetRecords()) > 0:
		p.mayCome(m.GetRecords()[0].GetPart())
		p.hearRecords(m.GetRecords())
	}
}

// mayCome checks that an update is one that this data plane can be sent now.
func (p *plane) mayCome(part gatewayv1.Part) {
	if p.welcome == nil || p.welcome.GetForeign() != "" {
		p.x.rt.Fatalf("%s does not follow and is sent %v", p.id, part)
	}
	if !p.busy[part].IsZero() {
		p.x.rt.Fatalf("%s is sent %v before it has answered for the last update", p.id, part)
	}
}

// hearWelcome takes over what a new epoch has in common with the one before.
func (p *plane) hearWelcome(w *gatewayv1.Welcome) {
	p.welcome = w
	if w.GetForeign() != "" {
		p.told = map[gatewayv1.Part]uint64{}
		return
	}
	moved := p.epoch != w.GetEpoch()
	p.epoch = w.GetEpoch()
	for _, s := range w.GetParts() {
		c := p.contents[s.GetPart()]
		if !moved {
			continue
		}
		delete(p.told, s.GetPart())
		if c.state != nil && !p.lacks[s.GetPart()] && string(c.state.GetDigest()) == string(s.GetDigest()) {
			c.state = s
			p.applied(s.GetPart())
			continue
		}
		p.lacks[s.GetPart()] = true
	}
}

func (p *plane) hearChunk(chunk *gatewayv1.SnapshotChunk) {
	s := chunk.GetState()
	c := p.contents[s.GetPart()]
	if chunk.GetIndex() == 0 {
		if !p.lacks[s.GetPart()] {
			p.x.rt.Fatalf("%s is sent all of %v again, at revision %d", p.id, s.GetPart(), s.GetRevision())
		}
		c.staged, c.chunks = map[store.ID][]byte{}, 0
	}
	if int(chunk.GetIndex()) != c.chunks {
		p.x.rt.Fatalf("%s: chunk %d of %v, want %d", p.id, chunk.GetIndex(), s.GetPart(), c.chunks)
	}
	c.chunks++
	for _, e := range chunk.GetEntries() {
		c.staged[store.ID{Kind: e.GetKind(), ID: e.GetId()}] = e.GetValue()
	}
	if !chunk.GetLast() {
		return
	}
	c.entries, c.staged, c.state = c.staged, nil, s
	p.full[s.GetPart()] = true
	p.lacks[s.GetPart()] = false
	p.whole(s.GetPart())
}

func (p *plane) hearRecords(records []*gatewayv1.Record) {
	part := records[0].GetPart()
	c := p.contents[part]
	if p.lacks[part] || c.staged != nil {
		p.x.rt.Fatalf("%s is sent records of %v from %d, which do not follow on what it has", p.id, part, records[0].GetRevision())
	}
	c.entries, p.full[part] = maps.Clone(c.entries), false
	for _, r := range records {
		if r.GetPart() != part || r.GetRevision() <= c.state.GetRevision() {
			p.x.rt.Fatalf("%s is sent record %d of %v, it has %d of %v", p.id, r.GetRevision(), r.GetPart(), c.state.GetRevision(), part)
		}
		for _, e := range r.GetRemoves() {
			delete(c.entries, store.ID{Kind: e.GetKind(), ID: e.GetId()})
		}
		for _, e := range r.GetPuts() {
			c.entries[store.ID{Kind: e.GetKind(), ID: e.GetId()}] = e.GetValue()
		}
		c.state = &gatewayv1.PartState{Part: part, Revision: r.GetRevision(), Digest: r.GetDigestAfter(), Count: uint64(len(c.entries))}
	}
	p.whole(part)
}

// whole notes that an update is complete and waits for its answer.
func (p *plane) whole(part gatewayv1.Part) {
	c := p.contents[part]
	if string(c.digest().Bytes()) != string(c.state.GetDigest()) {
		p.x.rt.Fatalf("%s: what it was sent of %v does not lead to its digest at revision %d", p.id, part, c.state.GetRevision())
	}
	p.busy[part] = time.Now()
}
