package h1

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire/grammar"
)

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

func TestAccepted(t *testing.T) {
	fields := func(list ...string) (f [][2]string) {
		for i := 0; i < len(list); i += 2 {
			f = append(f, [2]string{list[i], list[i+1]})
		}
		return f
	}
	coded := fields("Transfer-Encoding", "chunked")
	tests := []struct {
		name, method, in string
		want             message
		rest             string
	}{
		{"length", "GET", ok + "Content-Length: 5\r\n\r\nhello", message{Status: 200, Minor: 1, Fields: fields("Content-Length", "5"), Framing: byLength, Body: "hello", KeepAlive: true}, ""},
		{"surplus stays", "GET", ok + "Content-Length: 0\r\nConnection: close\r\n\r\nmore", message{Status: 200, Minor: 1, Fields: fields("Content-Length", "0", "Connection", "close"), Framing: byLength}, "more"},
		{"names in any case", "GET", ok + "cONTENT-lENGTH: 0\r\nx-aB-c:\t v \t\r\nEMPTY:\r\n\r\n", message{Status: 200, Minor: 1, Fields: fields("Content-Length", "0", "X-Ab-C", "v", "Empty", ""), Framing: byLength, KeepAlive: true}, ""},
		{"opaque bytes and tab", "GET", ok + "A: \xff\tb\r\nContent-Length: 0\r\n\r\n", message{Status: 200, Minor: 1, Fields: fields("A", "\xff\tb", "Content-Length", "0"), Framing: byLength, KeepAlive: true}, ""},
		{"no reason", "GET", "HTTP/1.1 204 \r\n\r\n", message{Status: 204, Minor: 1, KeepAlive: true}, ""},
		{"no reason, no space", "GET", "HTTP/1.1 204\r\n\r\n", message{Status: 204, Minor: 1, KeepAlive: true}, ""},
		{"204 whatever it says", "GET", "HTTP/1.1 204 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", message{Status: 204, Minor: 1, Fields: fields("Content-Length", "3", "Connection", "close")}, "abc"},
		{"304", "GET", "HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", message{Status: 304, Minor: 1, Fields: fields("Content-Length", "3"), KeepAlive: true}, ""},
		{"HEAD", "HEAD", chunked, message{Status: 200, Minor: 1, Fields: coded, KeepAlive: true}, ""},
		{"by close", "GET", ok + "\r\nhello", message{Status: 200, Minor: 1, Framing: byClose, Body: "hello"}, ""},
		{"1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", message{Status: 200, Fields: fields("Content-Length", "1"), Framing: byLength, Body: "x"}, ""},
		{"1.0 kept", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", message{Status: 200, Fields: fields("Content-Length", "1", "Connection", "Keep-Alive"), Framing: byLength, Body: "x", KeepAlive: true}, ""},
		{"chunks", "GET", ok + "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A;x;y=\"a\\\"b\" ; z = 1\r\n0123456789\r\n0\r\nT: 1\r\n\r\n", message{Status: 200, Minor: 1, Fields: fields("Transfer-Encoding", "Chunked"), Framing: byChunks, Body: "hello0123456789", KeepAlive: true}, ""},
		{"largest head", "GET", ok + "A: " + strings.Repeat("a", MaxHead-len(ok)-len("A: \r\nContent-Length: 0\r\n\r\n")) + "\r\nContent-Length: 0\r\n\r\n", message{}, ""},
		{"most fields", "GET", ok + strings.Repeat("A: b\r\n", MaxFields-1) + "Content-Length: 0\r\n\r\n", message{}, ""},
		{"longest chunk line", "GET", chunked + "0;" + strings.Repeat("a", grammar.MaxChunkLine-2) + "\r\n\r\n", message{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, fragment := range []int{1, 2, 3, 1 << 20} {
				got, rest, err := readAll([]byte(tt.in), fragment, tt.method)
				if err != nil || len(got) != 1 || string(rest) != tt.rest {
					t.Fatalf("in fragments of %d: %d messages, rest %q, %v", fragment, len(got), rest, err)
				}
				if diff := cmp.Diff(tt.want, got[0]); diff != "" && tt.want.Status != 0 {
					t.Errorf("in fragments of %d (-want +got):\n%s", fragment, diff)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := map[string][]string{
		"status line": {
			"\r\n" + ok, "HTTP/1.1  200 OK\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.2 200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/1.1 20 OK\r\n",
			"HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1 600 OK\r\n", "HTTP/1.1 +20 OK\r\n", "HTTP/1.1 200\tOK\r\n", "HTTP/1.1 200 O\x00K\r\n",
			"HTTP/1.1\r\n", " HTTP/1.1 200 OK\r\n", "ICY 200 OK\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\n", "HTTP/1.1 200 O\rK\r\n",
		},
		"field": {
			ok + "A b: c\r\n", ok + "A : b\r\n", ok + ": b\r\n", ok + "A\r\n", ok + " A: b\r\n", ok + "A: b\r\n c\r\n", ok + "A: b\r\n\tc\r\n", ok + "A: b\n",
			ok + "A: b\rc\r\n", ok + "A: b\x00\r\n", ok + "A: \x7f\r\n", ok + "A: b\r\r\n", ok + "\xc3\xa4: b\r\n", ok + "A\x00: b\r\n", ok + "A(: b\r\n",
		},
		"length": {
			ok + "Content-Length: 5\r\nContent-Length: 5\r\n", ok + "Content-Length: 5, 5\r\n", ok + "Content-Length: +5\r\n", ok + "Content-Length: -5\r\n",
			ok + "Content-Length: 05\r\n", ok + "Content-Length:\r\n", ok + "Content-Length: 0x5\r\n", ok + "Content-Length: 9223372036854775808\r\n",
			ok + "Content-Length: 00000000000000000005\r\n", "HTTP/1.1 204 No\r\nContent-Length: x\r\n",
		},
		"coding": {
			ok + "Transfer-Encoding: gzip\r\n", ok + "Transfer-Encoding: gzip, chunked\r\n", ok + "Transfer-Encoding: chunked, chunked\r\n",
			ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ok + "Transfer-Encoding: chunked;q=1\r\n", ok + "Transfer-Encoding:\r\n",
			ok + "Transfer-Encoding: \x0bchunked\r\n", ok + "Transfer-Encoding: identity\r\n", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
			ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		},
		"limits": {
			ok + "A: " + strings.Repeat("a", MaxHead), ok + strings.Repeat("A: b\r\n", MaxFields+1),
			ok + "A: " + strings.Repeat("a", MaxHead-len(ok)-len("A: \r\n\r\n")+1) + "\r\n\r\n",
		},
		"chunk": {
			chunked + "\r\n", chunked + "x\r\n", chunked + "+5\r\n", chunked + "0x5\r\n", chunked + " 5\r\n", chunked + "5 \r\n", chunked + "5\n", chunked + "5\rhello\r\n",
			chunked + "00000000000000005\r\n", chunked + "8000000000000000\r\n", chunked + "ffffffffffffffff\r\n", chunked + "5;\r\n", chunked + "5;a=\r\n", chunked + "5;a=\"\r\n",
			chunked + "5;a=\"\x01\"\r\n", chunked + "5;a\x00\r\n", chunked + "5 a\r\n", chunked + "5;" + strings.Repeat("a", grammar.MaxChunkLine-1) + "\r\n",
			chunked + "5;" + strings.Repeat("a", grammar.MaxChunkLine+1), chunked + "5\r\nhelloX\r\n", chunked + "5\r\nhello\n", chunked + "5\r\nhelloXY0\r\n",
		},
		"trailer": {
			chunked + "0\r\nA\r\n", chunked + "0\r\nA : b\r\n", chunked + "0\r\n A: b\r\n", chunked + "0\r\nA: \x00\r\n", chunked + "0\r\nA: b\n", chunked + "0\r\n\n",
			chunked + "0\r\nA: " + strings.Repeat("a", maxTrailers), chunked + "0\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 40),
		},
	}
	for name, list := range tests {
		t.Run(name, func(t *testing.T) {
			for _, in := range list {
				for _, fragment := range []int{1, 7, 1 << 20} {
					if _, _, err := readAll([]byte(in), fragment, "GET"); !errors.Is(err, ErrMalformed) {
						t.Errorf("%.80q in fragments of %d: %v, want it refused before anything follows", in, fragment, err)
					}
				}
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	whole := []string{
		ok + "Content-Length: 5\r\n\r\nhello",
		chunked + "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
	}
	for _, in := range whole {
		for n := range len(in) {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, _, err := readAll([]byte(in[:n]), 1<<20, "GET"); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", in[:n], err, want)
			}
		}
	}
}

// TestStringsOutlive: what a head gave stays when the buffer is used again.
func TestStringsOutlive(t *testing.T) {
	first := "HTTP/1.1 103 Hints\r\nLink: </a.css>\r\nX-Odd: 1\r\n\r\n"
	var r Response
	r.Reset(newConn(&script{data: []byte(first + strings.ReplaceAll(first, "</a.css>", "<zzzzzz>")), fragment: 1 << 20}), make([]byte, 16))
	if err := r.ReadHead(); err != nil {
		t.Fatal(err)
	}
	link, odd := r.Head.Fields()[0], r.Head.Fields()[1]
	if err := r.ReadHead(); err != nil {
		t.Fatal(err)
	}
	if link.Value != "</a.css>" || link.Kind != EndToEnd || odd.Name != "X-Odd" || odd.Kind != EndToEnd {
		t.Errorf("fields = %+v, %+v", link, odd)
	}
}
