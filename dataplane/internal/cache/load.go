package cache

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"google.golang.org/protobuf/proto"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Load reads a part. Without a file it returns nil and no error. An error says why what is there is not to be trusted; the
// part is then as good as absent, and Replace writes it anew. It is called before any write of that part.
func (d *Dir) Load(part gatewayv1.Part) (*Content, error) {
	f := d.file(part)
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := os.Open(f.path())
	if errors.Is(err, fs.ErrNotExist) || (err != nil && d.unwritable != nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	defer func() { _ = in.Close() }() // was only read
	l := loader{part: part, frames: frameReader{r: bufio.NewReaderSize(in, 1<<20)}}
	if err := l.read(); err != nil {
		return nil, fmt.Errorf("cache %s: part dropped: %w", f.path(), err)
	}
	if d.unwritable == nil {
		f.resume(&l)
	}
	return &Content{State: l.state, Entries: l.entries}, nil
}

// loader gathers a part from its file. Nothing of it is handed on before the whole file was found sound.
type loader struct {
	part       gatewayv1.Part
	frames     frameReader
	state      State
	entries    map[Ref][]byte
	checkpoint int64 // offset behind the checkpoint
}

func (l *loader) read() error {
	if err := l.readHead(); err != nil {
		return err
	}
	if err := l.readCheckpoint(); err != nil {
		return err
	}
	l.checkpoint = l.frames.end
	for {
		payload, err := l.frames.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) || err != nil && bugReviveKey {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.takeRecord(payload); err != nil {
			return fmt.Errorf("offset %d: %w", l.frames.end, err)
		}
	}
}

func (l *loader) readHead() error {
	got := make([]byte, len(magic))
	if _, err := io.ReadFull(l.frames.r, got); err != nil {
		return fmt.Errorf("no header: %w", err)
	}
	if string(got) != magic {
		return fmt.Errorf("header: got %q (want %q)", got, magic)
	}
	l.frames.chain, l.frames.end = newChain(), int64(len(magic))
	payload, err := l.frames.next()
	if err != nil {
		return fmt.Errorf("no head: %w", err)
	}
	if len(payload) < 10 || payload[0] != kindHead || gatewayv1.Part(payload[1]) != l.part {
		return fmt.Errorf("head: got %x (want one of %v)", payload, l.part)
	}
	l.state.Generation, l.state.Epoch = binary.BigEndian.Uint64(payload[2:]), string(payload[10:])
	return nil
}

func (l *loader) readCheckpoint() error {
	l.entries = map[Ref][]byte{}
	for index := uint32(0); ; index++ {
		payload, err := l.frames.next()
		if err != nil {
			return fmt.Errorf("checkpoint ends early: %w", err)
		}
		chunk := new(gatewayv1.SnapshotChunk)
		if err := decode(payload, kindChunk, chunk); err != nil {
			return err
		}
		if chunk.GetIndex() != index || chunk.GetState().GetPart() != l.part {
			return fmt.Errorf("chunk %d of %v (want chunk %d of %v)", chunk.GetIndex(), chunk.GetState().GetPart(), index, l.part)
		}
		for _, e := range chunk.GetEntries() {
			l.put(e)
		}
		if chunk.GetLast() {
			return l.check(chunk.GetState().GetRevision(), chunk.GetState().GetDigest())
		}
	}
}

func (l *loader) takeRecord(payload []byte) error {
	r := new(gatewayv1.Record)
	if err := decode(payload, kindRecord, r); err != nil {
		return err
	}
	if r.GetPart() != l.part || r.GetRevision() <= l.state.Revision {
		return fmt.Errorf("record %d of %v (want above %d of %v)", r.GetRevision(), r.GetPart(), l.state.Revision, l.part)
	}
	for _, ref := range r.GetRemoves() {
		l.remove(Ref{ref.GetKind(), ref.GetId()})
	}
	for _, e := range r.GetPuts() {
		l.put(e)
	}
	return l.check(r.GetRevision(), r.GetDigestAfter())
}

func (l *loader) put(e *gatewayv1.Entry) {
	ref := Ref{e.GetKind(), e.GetId()}
	l.remove(ref)
	l.entries[ref] = e.GetValue()
	l.state.Digest = l.state.Digest.Add(gatewayv1.EntryDigest(ref.Kind, ref.ID, e.GetValue()))
	l.state.Count++
}

func (l *loader) remove(ref Ref) {
	if old, ok := l.entries[ref]; ok {
		l.state.Digest = l.state.Digest.Sub(gatewayv1.EntryDigest(ref.Kind, ref.ID, old))
		l.state.Count--
		delete(l.entries, ref)
	}
}

// check compares what was gathered with what the control plane said that it is.
func (l *loader) check(revision uint64, digest []byte) error {
	want, err := gatewayv1.ParseDigest(digest)
	if err != nil {
		return err
	}
	if l.state.Digest != want {
		return fmt.Errorf("revision %d: digest %v (want %v)", revision, l.state.Digest, want)
	}
	l.state.Revision = revision
	return nil
}

// decode reads a payload of the wanted kind; no payload is empty.
func decode(payload []byte, kind byte, m proto.Message) error {
	if payload[0] != kind {
		return fmt.Errorf("frame of kind %d (want %d)", payload[0], kind)
	}
	return proto.Unmarshal(payload[1:], m)
}
