package configs

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is a backend's connection that speaks HTTP/2, frame by frame.
type framed struct {
	c       *backendConn
	framer  *http2.Framer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	partly  map[uint32]*message // requests that have not ended
}

// speak2 answers the requests of HTTP/2's connections by their streams, and those of HTTP/1.1's with okShort.
func speak2(answer func(f *framed, id uint32)) reply {
	return func(c *backendConn) bool {
		if begin, err := c.in.Peek(3); err != nil || string(begin) != "PRI" {
			return err == nil && c.readHead() && c.readBody() && c.say(okShort)
		}
		if _, err := c.in.Discard(len(http2.ClientPreface)); err != nil {
			return false
		}
		f := &framed{c: c, framer: http2.NewFramer(c, c.in), partly: map[uint32]*message{}}
		f.framer.AllowIllegalWrites = true
		f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.encoder = hpack.NewEncoder(&f.encoded)
		if f.framer.WriteSettings() != nil {
			return false
		}
		for {
			id, ok := f.request()
			if !ok {
				return false
			}
			answer(f, id)
		}
	}
}

// request reads until a request has come whole, and writes it down.
func (f *framed) request() (id uint32, ok bool) {
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil {
			return 0, false
		}
		id := frame.Header().StreamID
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() && f.framer.WriteSettingsAck() != nil {
				return 0, false
			}
			continue
		case *http2.PingFrame:
			if !frame.IsAck() && f.framer.WritePing(true, frame.Data) != nil {
				return 0, false
			}
			continue
		case *http2.MetaHeadersFrame:
			f.takeHead(id, frame)
		case *http2.DataFrame:
			f.partly[id].body += string(frame.Data())
		default:
			continue
		}
		if frame.Header().Flags.Has(http2.FlagDataEndStream) {
			m := f.partly[id]
			delete(f.partly, id)
			f.c.note(m, m, nil)
			return id, true
		}
	}
}

// takeHead takes a head, or trailers. A request's start is put as HTTP/1.1 has it.
func (f *framed) takeHead(id uint32, frame *http2.MetaHeadersFrame) {
	m := f.partly[id]
	if m == nil {
		m = &message{start: frame.PseudoValue("method") + " " + frame.PseudoValue("path") + " HTTP/1.1"}
		m.fields = append(m.fields, field{"host", frame.PseudoValue("authority")})
		f.partly[id] = m
	}
	for _, hf := range frame.RegularFields() {
		m.fields = append(m.fields, field{hf.Name, hf.Value})
	}
}

// head writes a head, or trailers, of names and values. What fails is found out by who waits for it.
func (f *framed) head(id uint32, end bool, fields ...string) {
	f.encoded.Reset()
	for pair := range slices.Chunk(fields, 2) {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	const most = 16 << 10
	block := f.encoded.Bytes()
	first := block[:min(len(block), most)]
	_ = f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) <= most})
	for rest := block[len(first):]; len(rest) > 0; {
		piece := rest[:min(len(rest), most)]
		rest = rest[len(piece):]
		_ = f.framer.WriteContinuation(id, len(rest) == 0, piece)
	}
}

func (f *framed) data(id uint32, end bool, text string) {
	_ = f.framer.WriteData(id, end, []byte(text))
}

// answering makes a script of a head and, unless it ends the stream, a body.
func answering(body string, fields ...string) reply {
	return speak2(func(f *framed, id uint32) {
		f.head(id, body == "", fields...)
		if body != "" {
			f.data(id, true, body)
		}
	})
}

// h2cCases are the rows about backends that speak HTTP/2, which all clients are served from.
func h2cCases() []conformanceCase {
	ok := answering("ok", ":status", "200", "content-length", "2")
	lines := "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\nX-Stays: 3\r\n"
	toH2C := []string{added[0], added[1], "x-forwarded-host: h2c", added[3], "x-stays: 3"}
	cases := dialogues(
		dialogue{
			row: "hop-by-hop", name: "of requests to h2c", send: askHost("h2c", "GET", lines, ""), script: ok, statuses: "200", saw: "GET / h2c", kept: true,
			fields: append([]string{"te: trailers"}, toH2C...), answer: []string{"content-length: 2"}, body: "ok",
		},
		dialogue{
			row: "trailers", name: "of HTTP/1.1 not to h2c", send: askHost("h2c", "POST", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n"), script: ok,
			statuses: "200", saw: "POST / h2c hello", kept: true, fields: toH2C[:4],
		},
		dialogue{
			row: "trailers", name: "of h2c not to HTTP/1.1", send: askHost("h2c", "GET", "", ""), statuses: "200", saw: "GET / h2c", kept: true, body: "ok",
			script: speak2(func(f *framed, id uint32) {
				f.head(id, false, ":status", "200", "trailer", "x")
				f.data(id, false, "ok")
				f.head(id, true, "x", "y")
			}),
			answer: []string{"transfer-encoding: chunked"},
		},
		dialogue{
			row: "interim responses", name: "103 of h2c", send: askHost("h2c", "GET", "", ""), statuses: "103 200", saw: "GET / h2c", kept: true,
			script: speak2(func(f *framed, id uint32) {
				f.head(id, false, ":status", "103", "link", "</a>")
				f.head(id, true, ":status", "200")
			}),
		},
		dialogue{
			row: "no body", name: "HEAD of h2c", methods: []string{"HEAD"}, send: askHost("h2c", "HEAD", "", ""), script: answering("", ":status", "200", "content-length", "5"),
			statuses: "200", saw: "HEAD / h2c", kept: true, answer: []string{"content-length: 5"},
		},
		dialogue{
			row: "no body", name: "304 of h2c", send: askHost("h2c", "GET", "", ""), script: answering("", ":status", "304", "content-length", "5"),
			statuses: "304", saw: "GET / h2c", kept: true, answer: []string{},
		},
		dialogue{
			row: "truncated body", name: "reset by h2c", send: askHost("h2c", "GET", "", ""), statuses: "200", saw: "GET / h2c", aborted: true,
			script: speak2(func(f *framed, id uint32) {
				f.head(id, false, ":status", "200")
				f.data(id, false, strings.Repeat("a", 1<<14))
				_ = f.framer.WriteRSTStream(id, http2.ErrCodeInternal)
			}),
		},
		dialogue{
			row: "truncated body", name: "shorter than announced by h2c", send: askHost("h2c", "GET", "", ""), statuses: "200", saw: "GET / h2c", aborted: true,
			script: answering(strings.Repeat("a", 1<<14), ":status", "200", "content-length", "16385"),
		},
	)
	for name, script := range malformedStreams() {
		cases = append(cases, dialogues(dialogue{
			row: "malformed responses", name: "h2c: " + name, send: askHost("h2c", "GET", "", ""), script: script, statuses: "502", saw: "GET / h2c", kept: true,
		})...)
	}
	return append(cases, conformanceCase{row: "trailers", name: "both ways through h2c", over: two, run: trailers2})
}

func malformedStreams() map[string]reply {
	var many []string
	for range 201 {
		many = append(many, "x", "y")
	}
	return map[string]reply{
		"reset":                speak2(func(f *framed, id uint32) { _ = f.framer.WriteRSTStream(id, http2.ErrCodeInternal) }),
		"no status":            answering("", "x", "y"),
		"status of two digits": answering("", ":status", "20"),
		"status with a sign":   answering("", ":status", "+20"),
		"status 600":           answering("", ":status", "600"),
		"status 099":           answering("", ":status", "099"),
		"unasked 101":          answering("", ":status", "101"),
		"name in upper case":   answering("", ":status", "200", "X-A", "y"),
		"bad name":             answering("", ":status", "200", "x a", "y"),
		"NUL":                  answering("", ":status", "200", "x", "\x00"),
		"bare LF":              answering("", ":status", "200", "x", "a\nb: c"),
		"lengths that differ":  answering("ok", ":status", "200", "content-length", "2", "content-length", "3"),
		"length twice":         answering("ok", ":status", "200", "content-length", "2", "content-length", "2"),
		"signed length":        answering("ok", ":status", "200", "content-length", "+2"),
		"length with zeros":    answering("ok", ":status", "200", "content-length", "02"),
		"coding":               answering("ok", ":status", "200", "transfer-encoding", "chunked"),
		"connection":           answering("ok", ":status", "200", "connection", "close"),
		"pseudo-header behind": answering("", "x", "y", ":status", "200"),
		"over 200 fields":      answering("", append([]string{":status", "200"}, many...)...),
		"head over 64 KiB":     answering("", ":status", "200", "x", strings.Repeat("é", 48<<10)),
		"9 interim responses":  speak2(func(f *framed, id uint32) { interims(f, id, 9) }),

		"connection that closes": speak2(func(f *framed, _ uint32) { _ = f.c.Close() }),
	}
}

func interims(f *framed, id uint32, n int) {
	for range n {
		f.head(id, false, ":status", "102")
	}
	f.head(id, true, ":status", "200")
}

// trailers2 wants trailers to pass both ways.
func trailers2(t *testing.T, l *lane) {
	t.Helper()
	b := l.backends[0]
	b.play(speak2(func(f *framed, id uint32) {
		f.head(id, false, ":status", "200", "trailer", "x-answer")
		f.data(id, false, "ok")
		f.head(id, true, "x-answer", "1", "grpc-status", "0")
	}))
	c := l.dial2(t)
	c.head(1, false, fieldList([]string{":method", "POST", ":authority", "h2c", "te", "trailers", "trailer", "x-asked"}))
	c.wrote(c.framer.WriteData(1, false, []byte("hello")))
	c.head(1, true, []string{"x-asked", "1"})
	h := c.hear(1)
	want := []field{{"grpc-status", "0"}, {"x-answer", "1"}}
	slices.SortFunc(h.trailers, func(a, b field) int { return strings.Compare(a.name, b.name) })
	if diff := cmp.Diff(want, h.trailers, cmp.AllowUnexported(field{})); diff != "" || h.body != "ok" {
		t.Errorf("body %q, trailers (-want +got):\n%s", h.body, diff)
	}
	seen, _ := l.expectSeen(t, "POST / h2c hello", false)
	if len(seen) > 0 && (seen[0].get("x-asked") != "1" || seen[0].get("te") != "trailers") {
		t.Errorf("the backend got %q", seen[0].headers())
	}
}
