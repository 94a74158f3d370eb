package limiter

import (
	"hash/maphash"
	"net/netip"
)

// Client is who a bucket belongs to: 63 bits of a hash with a seed of this process, so that nobody can choose to share
// another's bucket, and one bit that keeps keys and addresses apart.
type Client uint64

const keyBit Client = 1 << 63

var seed = maphash.MakeSeed()

// ForKey returns the client that uses the key called name. Verify the key first: whoever can invent names has no limit.
func ForKey(name string) Client { return Client(maphash.String(seed, name)) | keyBit }

// ForIP returns the client at an address: an IPv4 address, also one mapped into IPv6, or the /64 that an IPv6 address is in,
// as that is what one customer is given. The zero address is a client like any other.
func ForIP(a netip.Addr) Client {
	if !a.IsValid() {
		return 0
	}
	b := a.As16() // IPv4 as ::ffff:a.b.c.d
	if !a.Unmap().Is4() {
		clear(b[8:])
	}
	return Client(maphash.Bytes(seed, b[:])) &^ keyBit
}
