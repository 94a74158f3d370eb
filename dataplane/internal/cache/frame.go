package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	magic      = "gwcache\x01"
	headerSize = 12
	// maxFrame bounds what a length may claim before memory is taken for it. A record came in a message of MaxMessage.
	maxFrame = gatewayv1.MaxMessage + 64<<10
	// chunkSize bounds a chunk of a checkpoint. Values share the memory of their chunk once loaded, so one that is kept
	// holds on to this much at most.
	chunkSize = 64 << 10
)

// The first byte of a payload.
const (
	kindHead   = 1
	kindChunk  = 2
	kindRecord = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chain is the check of the last frame; the first frame continues that of the magic.
type chain uint32

func newChain() chain { return chain(crc32.Checksum([]byte(magic), castagnoli)) }

// next returns the check of a frame that follows.
func (c chain) next(length, sum uint32) chain {
	var b [12]byte
	binary.BigEndian.PutUint32(b[0:], uint32(c))
	binary.BigEndian.PutUint32(b[4:], length)
	binary.BigEndian.PutUint32(b[8:], sum)
	return chain(crc32.Checksum(b[:], castagnoli))
}

// appendFrame appends a frame to b and returns the chain after it.
func (c chain) appendFrame(b, payload []byte) ([]byte, chain) {
	length, sum := uint32(len(payload)), crc32.Checksum(payload, castagnoli)
	c = c.next(length, sum)
	b = binary.BigEndian.AppendUint32(b, length)
	b = binary.BigEndian.AppendUint32(b, sum)
	b = binary.BigEndian.AppendUint32(b, uint32(c))
	return append(b, payload...), c
}

// errTorn says that a file ends within a frame, or in zero bytes.
var errTorn = errors.New("torn")

// frameReader reads frames one after the other and knows where the last good one ended.
type frameReader struct {
	r     io.Reader
	chain chain
	end   int64 // offset behind the last good frame
}

// next returns the next payload in memory of its own; io.EOF at the end of the file, errTorn if the rest was never
// completely written.
func (f *frameReader) next() ([]byte, error) {
	var head [headerSize]byte
	n, err := io.ReadFull(f.r, head[:])
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errTorn
	}
	if err != nil {
		return nil, err
	}
	length, sum := binary.BigEndian.Uint32(head[0:]), binary.BigEndian.Uint32(head[4:])
	next := f.chain.next(length, sum)
	if uint32(next) != binary.BigEndian.Uint32(head[8:]) {
		return nil, f.zerosOr(head[:n], fmt.Errorf("offset %d: wrong check of a frame", f.end))
	}
	if length == 0 || length > maxFrame {
		return nil, fmt.Errorf("offset %d: frame of %d bytes (want 1 to %d)", f.end, length, maxFrame)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(f.r, payload); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errTorn
	} else if err != nil {
		return nil, err
	}
	if got := crc32.Checksum(payload, castagnoli); got != sum {
		return nil, fmt.Errorf("offset %d: wrong checksum of a frame, got %08x (want %08x)", f.end, got, sum)
	}
	f.chain, f.end = next, f.end+headerSize+int64(length)
	return payload, nil
}

// zerosOr returns errTorn if head and everything behind it is zero, as file systems leave a file that was made longer
// before its data was written; otherwise damage.
func (f *frameReader) zerosOr(head []byte, damage error) error {
	buf := make([]byte, 4096)
	for b := head; ; {
		if len(bytes.Trim(b, "\x00")) > 0 {
			return damage
		}
		n, err := f.r.Read(buf)
		b = buf[:n]
		if n == 0 && errors.Is(err, io.EOF) {
			return errTorn
		} else if n == 0 && err != nil {
			return err
		}
	}
}
