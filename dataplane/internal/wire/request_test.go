package wire_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire"
)

// change alters a request that would be let in.
type change func(*http.Request)

func request(changes ...change) *http.Request {
	r := &http.Request{
		Method: "GET", RequestURI: "/", Host: "example.com", URL: &url.URL{Path: "/"}, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1,
	}
	for _, c := range changes {
		c(r)
	}
	return r
}

func method(m string) change { return func(r *http.Request) { r.Method = m } }
func target(s string) change { return func(r *http.Request) { r.RequestURI = s } }
func host(s string) change   { return func(r *http.Request) { r.Host = s } }
func proto(major, minor int) change {
	return func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = major, minor }
}
func field(n string, v ...string) change { return func(r *http.Request) { r.Header[n] = v } }
func overTLS(r *http.Request)            { r.TLS = &tls.ConnectionState{} }
func chunked(r *http.Request)            { r.TransferEncoding = []string{"chunked"} }

func fields(n int) change {
	return func(r *http.Request) {
		for i := range n {
			r.Header["X-"+strconv.Itoa(i)] = []string{""}
		}
	}
}

// Each name is the row of HTTP.md, and what of it is tried.
func TestCheckRequest(t *testing.T) {
	const ok = ""
	long := strings.Repeat("a", 8192)
	tests := []struct {
		name string
		r    *http.Request
		code string
	}{
		{"CL and TE both present", request(field("Content-Length", "5"), chunked), "bad_content_length"},
		{"CL and TE both present: as headers", request(field("Content-Length", "5"), field("Transfer-Encoding", "chunked")), "bad_content_length"},
		{"two CL", request(field("Content-Length", "5", "5")), "bad_content_length"},
		{"CL list", request(field("Content-Length", "5, 5")), "bad_content_length"},
		{"CL leading zero", request(field("Content-Length", "05")), "bad_content_length"},
		{"CL fine", request(field("Content-Length", "5")), ok},
		{"TE unknown coding", request(field("Transfer-Encoding", "gzip, chunked")), "not_implemented"},
		{"TE twice", request(field("Transfer-Encoding", "chunked", "chunked")), "bad_request"},
		{"TE exact chunked, any case", request(field("Transfer-Encoding", "Chunked")), ok},
		{"TE exact chunked, by net/http", request(chunked), ok},
		{"TE on HTTP/1.0", request(proto(1, 0), chunked), "bad_request"},
		{"TE on HTTP/2", request(proto(2, 0), chunked), "bad_request"},
		{"empty name", request(field("", "x")), "bad_request"},
		{"non-token name", request(field("A b", "x")), "bad_request"},
		{"space before colon", request(field("A ", "x")), "bad_request"},
		{"NUL in a value", request(field("A", "x\x00")), "bad_request"},
		{"CR in a value", request(field("A", "x\ry")), "bad_request"},
		{"LF in a value", request(field("A", "fine", "x\ny")), "bad_request"},
		{"DEL in a value", request(field("A", "\x7f")), "bad_request"},
		{"tab is legal, 0x80 and above opaque", request(field("A", "x\ty\x80\xff")), ok},
		{"header name with underscore is for StripInbound", request(field("A_b", "x")), ok},
		{"request line over 8 KiB", request(target("/" + long[:8192-15])), "uri_too_long"},
		{"request line of 8 KiB", request(target("/" + long[:8192-16])), ok},
		{"head over 32 KiB", request(field("A", long, long, long, long)), "header_too_large"},
		{"head under 32 KiB", request(field("A", long, long, long)), ok},
		{"over 100 fields", request(fields(100)), "header_too_large"},
		{"100 fields", request(fields(99)), ok},
		{"100 fields without a host", request(proto(1, 0), host(""), fields(100)), ok},
		{"HTTP/0.9", request(proto(0, 9)), "bad_request"},
		{"a version other than 1.0, 1.1", request(proto(1, 2)), "version_not_supported"},
		{"a version other than 1.0, 1.1: 3.0", request(proto(3, 0)), "version_not_supported"},
		{"CONNECT", request(method("CONNECT"), target("example.com:443")), "method_not_allowed"},
		{"TRACE", request(method("TRACE")), "method_not_allowed"},
		{"method unknown", request(method("BREW")), ok},
		{"method not a token", request(method("GE T")), "bad_request"},
		{"method empty", request(method("")), "bad_request"},
		{"other methods on *", request(target("*")), "bad_request"},
		{"OPTIONS on *?", request(method("OPTIONS"), target("*?a")), "bad_request"},
		{"absolute-form", request(target("http://EXAMPLE.com.:80/")), ok},
		{"absolute-form: other authority", request(target("http://other.example/")), "bad_request"},
		{"absolute-form: other port", request(target("http://example.com:81/")), "bad_request"},
		{"absolute-form: same port", request(host("example.com:81"), target("http://example.com:81/")), ok},
		{"absolute-form: not the listener's scheme", request(target("https://example.com/")), "bad_request"},
		{"absolute-form: over TLS", request(overTLS, target("HTTPS://example.com:443/")), ok},
		{"absolute-form: over TLS, not the listener's scheme", request(overTLS, target("http://example.com/")), "bad_request"},
		{"absolute-form: userinfo", request(target("http://a@example.com/")), "bad_request"},
		{"absolute-form: no authority", request(target("http:///")), "bad_request"},
		{"absolute-form: on HTTP/1.0 without a host", request(proto(1, 0), host(""), target("http://example.com/")), ok},
		{"absolute-form: on HTTP/2", request(proto(2, 0), target("http://example.com/")), "bad_request"},
		{"authority-form", request(target("example.com:80")), "bad_request"},
		{"target empty", request(target("")), "bad_request"},
		{"target with #", request(target("/a#b")), "bad_request"},
		{"target with # in the query", request(target("/a?b#c")), "bad_request"},
		{"path with another byte", request(target("/a{b}")), "bad_request"},
		{"path with a bad percent-escape", request(target("/%zz")), "bad_request"},
		{"query with a space", request(target("/?a b")), "bad_request"},
		{"query with 0x80", request(target("/?\x80")), "bad_request"},
		{"query as browsers send it", request(target("/?[]{}|^%zz'\"<>\\")), ok},
		{"%5C in the path", request(target("/a%5cb")), "bad_path_escape"},
		{"%00 in the path", request(target("/a%00")), "bad_path_escape"},
		{"%2F that makes a dot segment", request(target("/a%2F..")), "bad_path_escape"},
		{"any other %2F", request(target("/a%2Fb")), ok},
		{"Host missing", request(host("")), "bad_host"},
		{"Host missing on HTTP/2", request(proto(2, 0), host("")), "bad_host"},
		{"Host missing on HTTP/1.0", request(proto(1, 0), host("")), ok},
		{"Host several", request(field("Host", "other.example")), "bad_host"},
		{"Host beside :authority, the same", request(proto(2, 0), field("Host", "example.com")), ok},
		{"Host not a valid name", request(host("exa mple.com")), "bad_host"},
		{"Host port 0", request(host("example.com:0")), "bad_host"},
		{"Expect: 100-continue", request(field("Expect", "100-Continue")), ok},
		{"other expectations", request(field("Expect", "100-continue", "tea")), "expectation_failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := *tt.r.URL
			v := wire.CheckRequest(tt.r)
			switch {
			case tt.code == ok && v != nil:
				t.Errorf("CheckRequest = %v, want none", v)
			case tt.code != ok && (v == nil || v.Code != tt.code):
				t.Errorf("CheckRequest = %v, want %s", v, tt.code)
			case v != nil && *tt.r.URL != before:
				t.Errorf("CheckRequest refused and changed r.URL to %q", tt.r.URL)
			}
		})
	}
}

func TestCheckRequestStatuses(t *testing.T) {
	tests := map[int]*http.Request{
		400: request(target("x")), 405: request(method("TRACE")), 414: request(target(strings.Repeat("/", 9000))),
		417: request(field("Expect", "x")), 431: request(fields(101)), 501: request(field("Transfer-Encoding", "gzip")), 505: request(proto(3, 0)),
	}
	for want, r := range tests {
		if v := wire.CheckRequest(r); v == nil || v.Status != want {
			t.Errorf("CheckRequest = %v, want status %d", v, want)
		}
	}
}

func TestCheckRequestAnswersOptions(t *testing.T) {
	for _, s := range []string{"*", "http://example.com"} {
		if v := wire.CheckRequest(request(method("OPTIONS"), target(s))); v != wire.AnswerOptions || v.Status != 204 {
			t.Errorf("OPTIONS %s: CheckRequest = %v, want AnswerOptions", s, v)
		}
	}
}

func TestCheckRequestRewritesURL(t *testing.T) {
	tests := []struct {
		target string
		want   url.URL
		whole  string
	}{
		{"/a/b?c=d", url.URL{Path: "/a/b", RawPath: "/a/b", RawQuery: "c=d"}, "/a/b?c=d"},
		{"/a/../%62%2fc%20?", url.URL{Path: "/b/c ", RawPath: "/b%2Fc%20", ForceQuery: true}, "/b%2Fc%20?"},
		{"//a.example/b", url.URL{Path: "/a.example/b", RawPath: "/a.example/b"}, "/a.example/b"},
		{"/a?b?c=%zz/../d", url.URL{Path: "/a", RawPath: "/a", RawQuery: "b?c=%zz/../d"}, "/a?b?c=%zz/../d"},
		{"/a|b%2Fc", url.URL{Path: "/a|b/c", RawPath: "/a%7Cb%2Fc"}, "/a%7Cb%2Fc"},
		{"http://example.com", url.URL{Path: "/", RawPath: "/"}, "/"},
		{"http://example.com?a", url.URL{Path: "/", RawPath: "/", RawQuery: "a"}, "/?a"},
		{"http://example.com/x//y", url.URL{Path: "/x/y", RawPath: "/x/y"}, "/x/y"},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			r := request(target(tt.target))
			r.URL = &url.URL{Scheme: "http", Host: "example.com", User: url.User("x"), Path: "/left/over"}
			if v := wire.CheckRequest(r); v != nil {
				t.Fatal(v)
			}
			if diff := cmp.Diff(tt.want, *r.URL); diff != "" {
				t.Errorf("r.URL (-want +got):\n%s", diff)
			}
			if got := r.URL.RequestURI(); got != tt.whole || r.RequestURI != tt.target {
				t.Errorf("r.URL.RequestURI() = %q, want %q; r.RequestURI = %q", got, tt.whole, r.RequestURI)
			}
		})
	}
}

func TestCheckRequestTakesHostFromTarget(t *testing.T) {
	r := request(proto(1, 0), host(""), target("http://Example.com:81/"))
	if v := wire.CheckRequest(r); v != nil || r.Host != "Example.com:81" {
		t.Errorf("CheckRequest = %v, r.Host = %q, want the target's", v, r.Host)
	}
}

func TestViolationIsShort(t *testing.T) {
	v := wire.CheckRequest(request(target("/" + strings.Repeat("a", 4000) + "\x01")))
	v2 := wire.CheckRequest(request(field("A", strings.Repeat("a", 4000)+"\x01")))
	for _, v := range []*wire.Violation{v, v2} {
		if v == nil || len(v.Error()) > 200 || !strings.HasPrefix(v.Error(), "bad_request: ") {
			t.Errorf("violation = %v, want a short one", v)
		}
	}
}
