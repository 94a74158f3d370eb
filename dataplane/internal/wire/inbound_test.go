package wire_test

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire"
)

func TestStripInbound(t *testing.T) {
	forged := []string{
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Anything", "Forwarded", "X-Real-Ip", "X-Original-Url",
		"X-Rewrite-Url", "True-Client-Ip", "X-Request-Id", "X_forwarded_for", "X-Forwarded_Proto", "x-real_ip", "FORWARDED", "X_request_id",
	}
	ours := []string{"X-Gateway-Key", "X_gateway_key", "X-Gateway-Anything"}
	kept := []string{"Via", "X-Api-Key", "X-Forward", "X-Real-Ip-2", "Cookie", "From", "Te", "", "X-Gateway"}
	header := func(lists ...[]string) http.Header {
		h := http.Header{}
		for _, list := range lists {
			for _, name := range list {
				h[name] = []string{"v"}
			}
		}
		return h
	}
	for _, trusted := range []bool{false, true} {
		got, want := header(forged, ours, kept), header(kept)
		if trusted {
			want = header(forged, kept)
		}
		wire.StripInbound(got, trusted, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("StripInbound, trusted=%v (-want +got):\n%s", trusted, diff)
		}
	}
}

func TestUnderscoresAreDropped(t *testing.T) {
	h := http.Header{"A_b": {"1", "2"}, "_": {"3"}, "A-B": {"4"}, "X-Gateway-Key": {"5"}}
	if got := wire.StripInbound(h, true, false); got != 3 {
		t.Errorf("StripInbound = %d, want 3", got)
	}
	if diff := cmp.Diff(http.Header{"A-B": {"4"}}, h); diff != "" {
		t.Errorf("StripInbound (-want +got):\n%s", diff)
	}
}

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"nobody trusted said anything", "192.0.2.1", nil, "192.0.2.1"},
		{"untrusted peer is not believed", "192.0.2.1", []string{"198.51.100.7"}, "192.0.2.1"},
		{"trusted peer", "10.0.0.1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"mapped peer", "::ffff:10.0.0.1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"IPv6 peer with a zone", "fd00::1%eth0", []string{"2001:db8::7"}, "2001:db8::7"},
		{"rightmost untrusted wins", "10.0.0.1", []string{"6.6.6.6, 198.51.100.7 ,10.0.0.2"}, "198.51.100.7"},
		{"several lines are one list", "10.0.0.1", []string{"6.6.6.6", "198.51.100.7", "10.0.0.2,\t10.0.0.3"}, "198.51.100.7"},
		{"all trusted: the leftmost", "10.0.0.1", []string{"10.0.0.3", "10.0.0.2"}, "10.0.0.3"},
		{"trusted peer without the header", "10.0.0.1", nil, "10.0.0.1"},
		{"not an address", "10.0.0.1", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty element", "10.0.0.1", []string{"198.51.100.7,"}, "10.0.0.1"},
		{"ports and brackets", "10.0.0.1", []string{"198.51.100.7:1234, [fd00::2]:80, [fd00::3], 10.0.0.9:1"}, "198.51.100.7"},
		{"mapped element", "10.0.0.1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"bad port", "10.0.0.1", []string{"198.51.100.7:x"}, "10.0.0.1"},
		{"brackets alone", "10.0.0.1", []string{"]"}, "10.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := wire.ClientIP(netip.MustParseAddr(tt.peer), http.Header{"X-Forwarded-For": tt.lines}, trusted)
			if got.String() != tt.want {
				t.Errorf("ClientIP(%s, %q) = %s, want %s", tt.peer, tt.lines, got, tt.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	made := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, values := range [][]string{nil, {""}, {"a", "b"}, {"a b"}, {"é"}, {"\x7f"}, {strings.Repeat("a", 129)}} {
		first, second := wire.RequestID(http.Header{"X-Request-Id": values}), wire.RequestID(http.Header{"X-Request-Id": values})
		if !made.MatchString(first) || first == second {
			t.Errorf("RequestID(%q) = %q, then %q, want different ones of 32 digits", values, first, second)
		}
	}
	for _, want := range []string{"a", "{!~}", strings.Repeat("a", 128)} {
		if got := wire.RequestID(http.Header{"X-Request-Id": {want}}); got != want {
			t.Errorf("RequestID(%q) = %q", want, got)
		}
	}
}
