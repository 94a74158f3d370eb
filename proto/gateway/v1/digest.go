package gatewayv1

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// Digest identifies the content of a part: the sum modulo 2^256 of one SHA-256 per entry (AdHash, Bellare and Micciancio,
// "A New Paradigm for Collision-Free Hashing", 1997). Adding or removing an entry costs the same at any size, and the
// order of entries does not matter. It detects drift, not forgery. The zero Digest is that of an empty part.
type Digest struct {
	w [4]uint64 // least significant first
}

// EntryDigest returns the digest of a part that holds one entry. The lengths of id and value enter the hash, so that no
// two entries share their input.
func EntryDigest(kind Kind, id string, value []byte) Digest {
	h := sha256.New()
	var head [20]byte
	binary.BigEndian.PutUint32(head[0:], uint32(kind))
	binary.BigEndian.PutUint64(head[4:], uint64(len(id)))
	binary.BigEndian.PutUint64(head[12:], uint64(len(value)))
	h.Write(head[:])
	h.Write([]byte(id))
	h.Write(value)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return fromBytes(sum)
}

// ParseDigest reads the wire form: 32 bytes, big-endian. No bytes at all are the zero Digest.
func ParseDigest(b []byte) (Digest, error) {
	if len(b) == 0 {
		return Digest{}, nil
	}
	if len(b) != sha256.Size {
		return Digest{}, fmt.Errorf("digest: got %d bytes (want %d)", len(b), sha256.Size)
	}
	return fromBytes([sha256.Size]byte(b)), nil
}

func fromBytes(b [sha256.Size]byte) (d Digest) {
	for i := range d.w {
		d.w[3-i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return d
}

// Add returns d with the entries of e.
func (d Digest) Add(e Digest) Digest {
	var carry uint64
	for i := range d.w {
		d.w[i], carry = bits.Add64(d.w[i], e.w[i], carry)
	}
	return d
}

// Sub returns d without the entries of e.
func (d Digest) Sub(e Digest) Digest {
	var borrow uint64
	for i := range d.w {
		d.w[i], borrow = bits.Sub64(d.w[i], e.w[i], borrow)
	}
	return d
}

// Bytes returns the wire form, 32 bytes.
func (d Digest) Bytes() []byte {
	b := make([]byte, sha256.Size)
	for i, w := range d.w {
		binary.BigEndian.PutUint64(b[8*(3-i):], w)
	}
	return b
}

// String returns 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d.Bytes()) }
