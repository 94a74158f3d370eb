package wire_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/wire"
)

// FuzzAppendRequest holds the header that is written line by line against the one that is made as a map: whatever a client sends, a reader of
// the lines finds the same, with nothing left over.
func FuzzAppendRequest(f *testing.F) {
	f.Add("X-A: 1\nx-a: 2\nX-Forwarded-For: 192.0.2.1\nVia: 1.0 a\nVia: 1.1 b", "192.0.2.2", "a.example", false)
	f.Add("Connection: X-A, close\nX-A: 1\nTe: gzip, trailers\nTrailer: T\nUpgrade: h2c\nKeep-Alive: 5", "2001:db8::1", "[::1]:80", true)
	f.Add("X-Request-Id: 1\nX-Forwarded-Host: b\nX-Forwarded-Proto: https\nHost: c\nContent-Length: 5", "192.0.2.2", "", false)
	f.Fuzz(func(t *testing.T, lines, peer, host string, webSocket bool) {
		header := http.Header{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			header.Add(name, strings.Trim(value, " \t"))
		}
		forward := func() *wire.Forward {
			return &wire.Forward{Peer: strings.TrimSpace(peer), Scheme: "http", Host: strings.TrimSpace(host), RequestID: "1", Proto: 1, WebSocket: webSocket}
		}
		written, err := wire.AppendRequest(nil, header, forward())
		if err != nil {
			return
		}
		want := http.Header{}
		wire.OutboundRequest(want, header, forward())
		in := bufio.NewReader(bytes.NewReader(append(written, "\r\nleft over"...)))
		got, err := textproto.NewReader(in).ReadMIMEHeader()
		if err != nil {
			t.Fatalf("%v of\n%q", err, written)
		}
		if diff := cmp.Diff(map[string][]string(want), map[string][]string(got)); diff != "" {
			t.Fatalf("lines differ from the map (-map +lines):\n%s\n%q", diff, written)
		}
		if rest, _ := in.ReadString(0); rest != "left over" {
			t.Fatalf("a reader leaves %q of\n%q", rest, written)
		}
	})
}
