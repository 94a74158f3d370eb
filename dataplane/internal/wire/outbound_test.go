package wire_test

import (
	"bufio"
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire"
)

// added is what OutboundRequest sets for the Forward of TestOutboundRequest.
var added = http.Header{
	"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"example.com"},
	"X-Request-Id": {"id-1"}, "Via": {"1.1 apigateway"},
}

func with(more http.Header) http.Header {
	h := added.Clone()
	maps.Copy(h, more)
	return h
}

func TestOutboundRequest(t *testing.T) {
	tests := []struct {
		name      string
		src, want http.Header
	}{
		{"nothing to remove", http.Header{"Accept": {"*/*"}, "A": {"1", "2"}}, with(http.Header{"Accept": {"*/*"}, "A": {"1", "2"}})},
		{"framing is made anew", http.Header{"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "Host": {"x"}}, added},
		{"any case and spelling", http.Header{"content-length": {"5"}, "TRANSFER_ENCODING": {"chunked"}}, added},
		{"hop-by-hop", http.Header{
			"Connection": {"keep-alive"}, "Keep-Alive": {"timeout=5"}, "Proxy-Connection": {"x"}, "Proxy-Authorization": {"x"},
			"Te": {"gzip"}, "Trailer": {"X"}, "Upgrade": {"h2c"}, "Http2-Settings": {"x"}, "Expect": {"100-continue"},
		}, added},
		{"TE: trailers", http.Header{"Te": {"gzip, Trailers"}}, with(http.Header{"Te": {"trailers"}})},
		{"named by Connection", http.Header{"Connection": {"close, x-HOP", ",  other ,"}, "X-Hop": {"1"}, "Other": {"2"}, "Stays": {"3"}}, with(http.Header{"Stays": {"3"}})},
		{"credentials are never named away", http.Header{
			"Connection": {"x-api-key, Authorization, cookie, X-Gateway-Key, X-Request-ID, Via"},
			"X-Api-Key":  {"k"}, "Authorization": {"a"}, "Cookie": {"c"}, "X-Gateway-Key": {"alice"}, "Via": {"1.0 edge"},
		}, with(http.Header{
			"X-Api-Key": {"k"}, "Authorization": {"a"}, "Cookie": {"c"}, "X-Gateway-Key": {"alice"}, "Via": {"1.0 edge, 1.1 apigateway"},
		})},
		{"what a trusted peer said is appended to", http.Header{
			"Connection": {"x-forwarded-for"}, "X-Forwarded-For": {"198.51.100.7", "203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a"},
		}, with(http.Header{
			"X-Forwarded-For": {"198.51.100.7, 203.0.113.9, 192.0.2.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a"},
		})},
		{"request id is replaced", http.Header{"X-Request-Id": {"other"}}, added},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.src.Clone()
			got, f := http.Header{}, wire.Forward{Peer: "192.0.2.1", Scheme: "https", Host: "example.com", RequestID: "id-1", Proto: 1}
			wire.OutboundRequest(got, tt.src, &f)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("OutboundRequest (-want +got):\n%s", diff)
			}
			lines, err := wire.AppendRequest(nil, tt.src, &f)
			if diff := cmp.Diff(tt.want, header(t, lines)); diff != "" || err != nil {
				t.Errorf("AppendRequest: %v (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(before, tt.src); diff != "" {
				t.Errorf("OutboundRequest changed src (-before +after):\n%s", diff)
			}
		})
	}
}

// header is what lines say.
func header(t *testing.T, lines []byte) http.Header {
	t.Helper()
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(string(lines) + "\r\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return http.Header(h)
}

// Own middleware may put anything into a header. Nothing of it becomes a line of its own.
func TestAppendRequestRefusesWhatBreaksLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  http.Header
		f    wire.Forward
	}{
		{name: "name", src: http.Header{"X: y\r\nZ": {"v"}}},
		{name: "empty name", src: http.Header{"": {"v"}}},
		{name: "value", src: http.Header{"X": {"good", "a\r\nY: z"}}},
		{name: "value beside Connection's", src: http.Header{"Connection": {"Other"}, "X": {"a\x00"}}},
		{name: "value that is appended to", src: http.Header{"Via": {"a\r\nY: z"}}},
		{name: "value that is kept", src: http.Header{"X-Forwarded-Proto": {"a\nY: z"}}},
		{name: "host", f: wire.Forward{Host: "a\r\nY: z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if lines, err := wire.AppendRequest(nil, tt.src, &tt.f); !errors.Is(err, wire.ErrField) {
				t.Errorf("AppendRequest = %q, %v, want %v", lines, err, wire.ErrField)
			}
		})
	}
}

func TestOutboundRequestTunnelOverHTTP2WithoutHost(t *testing.T) {
	got := http.Header{}
	src := http.Header{"Connection": {"keep-alive, upgrade"}, "Upgrade": {"h2c, websocket"}, "Te": {"trailers"}, "Sec-Websocket-Key": {"k"}}
	wire.OutboundRequest(got, src, &wire.Forward{Peer: "::1", Scheme: "http", RequestID: "id", Proto: 2, WebSocket: true})
	lines, err := wire.AppendRequest(nil, src, &wire.Forward{Peer: "::1", Scheme: "http", RequestID: "id", Proto: 2, WebSocket: true})
	if err != nil {
		t.Error(err)
	}
	want := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Te": {"trailers"}, "Sec-Websocket-Key": {"k"}, "X-Forwarded-For": {"::1"},
		"X-Forwarded-Proto": {"http"}, "X-Request-Id": {"id"}, "Via": {"2.0 apigateway"},
	}
	for name, got := range map[string]http.Header{"OutboundRequest": got, "AppendRequest": header(t, lines)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Appending to a value that was written must not reach the header that it came from.
func TestOutboundRequestSharesNoRoom(t *testing.T) {
	values := make([]string, 1, 4)
	src, dst := http.Header{"A": values}, http.Header{}
	wire.OutboundRequest(dst, src, &wire.Forward{})
	dst.Add("A", "more")
	dst.Add("X-Forwarded-For", "more")
	if got := values[:2][1]; got != "" {
		t.Errorf("src has %q behind its values", got)
	}
	if got := dst.Get("X-Forwarded-Proto"); got != "" {
		t.Errorf("X-Forwarded-Proto = %q after an append to X-Forwarded-For, want none", got)
	}
}

func TestResponseHeader(t *testing.T) {
	tests := []struct {
		name           string
		dst, src, want http.Header
	}{
		{
			"hop-by-hop and framing",
			http.Header{},
			http.Header{
				"Connection": {"close"}, "Keep-Alive": {"5"}, "Proxy-Authenticate": {"x"}, "Trailer": {"X"}, "Upgrade": {"h2c"}, "Te": {"x"},
				"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "Content-Type": {"text/plain"},
			},
			http.Header{"Content-Type": {"text/plain"}},
		},
		{
			"named by Connection",
			http.Header{"Hop": {"chain"}},
			http.Header{"Connection": {"hop, set-cookie, x-request-id"}, "Hop": {"1"}, "Set-Cookie": {"a"}, "X-Request-Id": {"1"}},
			http.Header{"Hop": {"chain"}, "Set-Cookie": {"a"}, "X-Request-Id": {"1"}},
		},
		{
			"what the chain set stays",
			http.Header{"Vary": {"A"}},
			http.Header{"Vary": {"B"}, "Connection": {"keep-alive"}},
			http.Header{"Vary": {"A", "B"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire.ResponseHeader(tt.dst, tt.src)
			if diff := cmp.Diff(tt.want, tt.dst); diff != "" {
				t.Errorf("ResponseHeader (-want +got):\n%s", diff)
			}
		})
	}
}

// Adding to what the chain set must not reach into the chain's own slice.
func TestResponseHeaderSharesNoRoom(t *testing.T) {
	values := append(make([]string, 0, 4), "A")
	wire.ResponseHeader(http.Header{"Vary": values}, http.Header{"Vary": {"B"}})
	if got := values[:2][1]; got != "" {
		t.Errorf("the chain's slice has %q behind its values", got)
	}
}
