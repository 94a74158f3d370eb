package wire_test

import (
	"net/http"
	"net/netip"
	"testing"

	"apigateway/dataplane/internal/wire"
)

// usual is a request as a browser or curl sends it.
func usual() *http.Request {
	return request(target("/users/42/orders?page=2"), func(r *http.Request) {
		r.Header = http.Header{
			"Accept": {"application/json"}, "Accept-Encoding": {"gzip, deflate, br"}, "Connection": {"keep-alive"}, "Content-Length": {"17"},
			"Content-Type": {"application/json"}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
			"X-Api-Key": {"gk_7f3k9qwn2m4x_V2xhbGthcmFuZG9tc2VjcmV0"}, "Cookie": {"session=0123456789abcdef0123456789abcdef"},
		}
	})
}

// path is every step of a usual request but its new id, which is one string.
func path(r *http.Request, dst []byte, f *wire.Forward) (v *wire.Violation) {
	peer := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	if v = wire.CheckRequest(r); v != nil {
		return v
	}
	wire.StripInbound(r.Header, wire.TrustedPeer(peer, nil), false)
	wire.ClientIP(peer, r.Header, nil)
	if _, _, v = wire.ParseHost(r.Host, "http"); v != nil {
		return v
	}
	if _, v = wire.WebSocket(r); v != nil {
		return v
	}
	if _, v = wire.OutboundPath(r.URL); v != nil {
		return v
	}
	if _, err := wire.AppendRequest(dst, r.Header, f); err != nil {
		panic(err)
	}
	return nil
}

func TestUsualRequestDoesNotAllocate(t *testing.T) {
	r, dst, f := usual(), make([]byte, 0, 4<<10), &wire.Forward{Peer: "192.0.2.1", Scheme: "http", Host: "example.com", RequestID: "id"}
	response, out := http.Header{"Content-Type": {"text/plain"}, "Connection": {"close"}, "Date": {"x"}}, http.Header{}
	allocs := testing.AllocsPerRun(100, func() {
		if v := path(r, dst, f); v != nil {
			t.Fatal(v)
		}
		wire.ResponseHeader(out, response)
		clear(out)
	})
	if allocs != 0 {
		t.Errorf("a usual request allocates %v times, want 0", allocs)
	}
}

func BenchmarkUsualRequest(b *testing.B) {
	r, dst, f := usual(), make([]byte, 0, 4<<10), &wire.Forward{Peer: "192.0.2.1", Scheme: "http", Host: "example.com", RequestID: "id"}
	b.ReportAllocs()
	for b.Loop() {
		if v := path(r, dst, f); v != nil {
			b.Fatal(v)
		}
	}
}

func BenchmarkCheckRequest(b *testing.B) {
	r := usual()
	b.ReportAllocs()
	for b.Loop() {
		if v := wire.CheckRequest(r); v != nil {
			b.Fatal(v)
		}
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for kind, path := range map[string]string{
		"canonical": "/users/42/orders/7", "escaped": "/caf%C3%A9/a%20b/c", "slash": "/a%2Fb/c", "dots": "/a/./b/../c//d",
	} {
		b.Run("path="+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, v := wire.CanonicalPath(path); v != nil {
					b.Fatal(v)
				}
			}
		})
	}
}

func BenchmarkStripInbound(b *testing.B) {
	h := usual().Header
	b.ReportAllocs()
	for b.Loop() {
		wire.StripInbound(h, false, false)
	}
}

func BenchmarkOutboundRequest(b *testing.B) {
	src, dst, f := usual().Header, http.Header{}, &wire.Forward{Peer: "192.0.2.1", Scheme: "http", Host: "example.com", RequestID: "id"}
	b.ReportAllocs()
	for b.Loop() {
		wire.OutboundRequest(dst, src, f)
		clear(dst)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	src, f := usual().Header, &wire.Forward{Peer: "192.0.2.1", Scheme: "http", Host: "example.com", RequestID: "0123456789abcdef0123456789abcdef"}
	buf := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.AppendRequest(buf, src, f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		wire.RequestID(nil)
	}
}
