package grpcapi

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that sharedCodec extends
	"google.golang.org/grpc/mem"
)

// frame is a message that was encoded earlier, in pieces that many streams share: in protobuf the concatenation of encoded
// messages is the encoding of their merge. Nobody may change the bytes.
type frame [][]byte

// sharedCodec is the standard codec that passes frames on as they are. Encoding a message anew for each of thousands of
// streams would cost several times as much as sending it.
type sharedCodec struct{ encoding.CodecV2 }

func newSharedCodec() sharedCodec { return sharedCodec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c sharedCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(frame)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	out := make(mem.BufferSlice, len(f))
	for i, piece := range f {
		out[i] = mem.SliceBuffer(piece)
	}
	return out, nil
}
