package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream is a case of one request over HTTP/2 by prior knowledge, on a stream of its own; behind it another request sees whether the
// connection goes on.
type stream struct {
	row, name string
	setup     setup
	head      []string // names and values; those of a usual GET are put before, unless head has them; a value of "-" leaves a field out
	data      []string // DATA frames
	open      bool     // the client does not end the stream
	trailers  []string // names and values
	script    reply    // nil: answerOK
	begun     bool     // the backend may have got the request in part

	status string // wanted, interim ones but 100 before the final; "": none
	end    string // wanted: how the stream ended, see heard; "": by END_STREAM
	saw    string // wanted, as in the corpus
	lost   bool   // the connection does not go on
	fields []string
	answer []string // of the final answer, sorted, without Date; nil: not looked at
	body   string   // "": not looked at
}

func streams(all ...stream) (cases []conformanceCase) {
	for _, s := range all {
		cases = append(cases, conformanceCase{row: s.row, name: s.name, over: two, setup: s.setup, run: s.run})
	}
	return cases
}

// fieldList completes a head.
func fieldList(head []string) []string {
	var all []string
	for _, usual := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}} {
		if i := slices.Index(head, usual[0]); i < 0 || i%2 == 1 {
			all = append(all, usual[0], usual[1])
		}
	}
	for pair := range slices.Chunk(head, 2) {
		if pair[1] == "-" {
			continue
		}
		if strings.HasPrefix(pair[0], ":") {
			all = slices.Insert(all, 0, pair...)
		} else {
			all = append(all, pair...)
		}
	}
	return all
}

// heard is what became of a stream.
type heard struct {
	status   []string
	fields   []field // of the final answer
	trailers []field
	body     string
	end      string // "END_STREAM", "RST_STREAM code", "GOAWAY code" or why the connection broke
}

// caller2 is a client's connection that speaks HTTP/2, frame by frame.
type caller2 struct {
	t        *testing.T
	conn     *net.TCPConn
	framer   *http2.Framer
	encoded  bytes.Buffer
	encoder  *hpack.Encoder
	settings map[http2.SettingID]uint32 // the server's, once they have come
	window   uint32                     // what the server added to the connection's window
	away     bool                       // a GOAWAY has come
}

func (l *lane) dial2(t *testing.T) *caller2 {
	t.Helper()
	c := &caller2{t: t, conn: l.dial(t).TCPConn, settings: map[http2.SettingID]uint32{}}
	c.framer = http2.NewFramer(c.conn, c.conn)
	c.framer.AllowIllegalWrites = true
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.encoded)
	if _, err := io.WriteString(c.conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	c.wrote(c.framer.WriteSettings())
	return c
}

// wrote takes errors for what they are: the server has closed, which the reader finds out.
func (c *caller2) wrote(err error) {
	if op := (*net.OpError)(nil); err != nil && !errors.As(err, &op) {
		c.t.Errorf("write a frame: %v", err)
	}
}

func (c *caller2) head(id uint32, end bool, fields []string) {
	c.encoded.Reset()
	for pair := range slices.Chunk(fields, 2) {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]}); err != nil {
			c.t.Fatal(err)
		}
	}
	const most = 16 << 10
	block := c.encoded.Bytes()
	first := block[:min(len(block), most)]
	c.wrote(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) <= most}))
	for rest := block[len(first):]; len(rest) > 0; {
		piece := rest[:min(len(rest), most)]
		rest = rest[len(piece):]
		c.wrote(c.framer.WriteContinuation(id, len(rest) == 0, piece))
	}
}

// next reads frames until one is of the stream, or ends it.
func (c *caller2) next(id uint32) (http2.Frame, error) {
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				continue
			}
			_ = f.ForeachSetting(func(s http2.Setting) error { c.settings[s.ID] = s.Val; return nil })
			c.wrote(c.framer.WriteSettingsAck())
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				c.window += f.Increment
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.wrote(c.framer.WritePing(true, f.Data))
			}
		case *http2.GoAwayFrame:
			c.away = true
			if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < id {
				return f, nil
			}
		default:
			if f.Header().StreamID == id {
				return f, nil
			}
		}
	}
}

// hear reads a stream to its end.
func (c *caller2) hear(id uint32) (h heard) {
	c.t.Helper()
	for {
		f, err := c.next(id)
		if err != nil {
			h.end = err.Error()
			return h
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			h.take(f)
		case *http2.DataFrame:
			h.body += string(f.Data())
			if n := uint32(len(f.Data())); n > 0 {
				c.wrote(c.framer.WriteWindowUpdate(0, n))
				c.wrote(c.framer.WriteWindowUpdate(id, n))
			}
		case *http2.RSTStreamFrame:
			h.end = "RST_STREAM " + f.ErrCode.String()
			return h
		case *http2.GoAwayFrame:
			h.end = "GOAWAY " + f.ErrCode.String()
			return h
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().Type != http2.FrameWindowUpdate {
			h.end = "END_STREAM"
			return h
		}
	}
}

// take notes a head, or trailers.
func (h *heard) take(f *http2.MetaHeadersFrame) {
	status := f.PseudoValue("status")
	var fields []field
	for _, hf := range f.RegularFields() {
		fields = append(fields, field{hf.Name, hf.Value})
	}
	switch status {
	case "":
		h.trailers = fields
	case "100":
	default:
		h.status = append(h.status, status)
		h.fields = fields
	}
}

func (s *stream) run(t *testing.T, l *lane) {
	t.Helper()
	if s.script != nil {
		l.backends[0].play(s.script)
	}
	c := l.dial2(t)
	s.send(c)
	h := c.hear(1)
	s.check(t, &h)
	want := s.saw
	if !s.lost {
		c.head(3, true, fieldList([]string{":path", "/last"}))
		if last := c.hear(3); strings.Join(last.status, " ") != "200" || last.end != "END_STREAM" {
			t.Errorf("a request behind it: %q, %s, want 200", last.status, last.end)
		}
		want = strings.TrimPrefix(want+"|GET /last a", "|")
	}
	_ = c.conn.Close()
	seen, _ := l.expectSeen(t, want, s.begun)
	if s.fields != nil && len(seen) > 0 {
		got := slices.DeleteFunc(seen[0].headers("host"), madeID.MatchString)
		if diff := cmp.Diff(s.fields, got); diff != "" {
			t.Errorf("headers at the backend (-want +got):\n%s", diff)
		}
	}
}

// send writes all that the client has to say; it fits into the windows and the socket.
func (s *stream) send(c *caller2) {
	bare := len(s.data)+len(s.trailers) == 0 && !s.open
	c.head(1, bare, fieldList(s.head))
	for i, data := range s.data {
		c.wrote(c.framer.WriteData(1, i == len(s.data)-1 && len(s.trailers) == 0 && !s.open, []byte(data)))
	}
	if len(s.trailers) > 0 {
		c.encoded.Reset()
		c.head(1, true, s.trailers)
	}
}

func (s *stream) check(t *testing.T, h *heard) {
	t.Helper()
	want := s.end
	if want == "" {
		want = "END_STREAM"
	}
	if h.end != want {
		t.Errorf("the stream ends with %s, want %s", h.end, want)
	}
	if got := strings.Join(h.status, " "); got != s.status {
		t.Errorf("status %q, want %q", got, s.status)
	}
	if s.answer != nil {
		m := message{fields: h.fields}
		if diff := cmp.Diff(s.answer, m.headers("date")); diff != "" {
			t.Errorf("headers of the answer (-want +got):\n%s", diff)
		}
	}
	if s.body != "" && h.body != s.body {
		t.Errorf("body %.200q, want %.200q", h.body, s.body)
	}
}

// settings2 wants the limits that are announced before anything else.
func settings2(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial2(t)
	c.head(1, true, fieldList(nil))
	if h := c.hear(1); h.end != "END_STREAM" {
		t.Fatalf("the stream ends with %s", h.end)
	}
	got := fmt.Sprintf("streams %d, window %d, frame %d, connection %d", c.settings[http2.SettingMaxConcurrentStreams],
		c.settings[http2.SettingInitialWindowSize], orDefault(c.settings[http2.SettingMaxFrameSize], 16<<10), 65535+c.window)
	if want := "streams 100, window 65536, frame 16384, connection 1048576"; got != want {
		t.Errorf("limits %s, want %s", got, want)
	}
}

func orDefault(v, otherwise uint32) uint32 {
	if v == 0 {
		return otherwise
	}
	return v
}

// idle2 wants a connection without a request to end with GOAWAY.
func idle2(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial2(t)
	c.head(1, true, fieldList(nil))
	c.hear(1)
	if f, err := c.next(3); err == nil && f.Header().Type != http2.FrameGoAway || isTimeout(err) || !c.away {
		t.Errorf("the idle connection: %v, %v, want GOAWAY", f, err)
	}
}

// gone2 is a client that gives a stream up while the backend works.
func gone2(leave func(c *caller2)) func(t *testing.T, l *lane) {
	return func(t *testing.T, l *lane) {
		t.Helper()
		before := l.canceled(t)
		b := l.backends[0]
		b.play(inTurn(saysOnly("")))
		c := l.dial2(t)
		c.head(1, true, fieldList(nil))
		b.await(t, "the request to come", func() bool { return len(b.seen) == 1 })
		leave(c)
		l.expectGone(t, before)
	}
}

// continues2 wants 100 before the body, once the chain has let the request through.
func continues2(t *testing.T, l *lane) {
	t.Helper()
	c := l.dial2(t)
	c.head(1, false, fieldList([]string{":method", "POST", ":authority", "guarded", "x-api-key", fileKey, "expect", "100-continue", "content-length", "5"}))
	f, err := c.next(1)
	if head, ok := f.(*http2.MetaHeadersFrame); !ok || head.PseudoValue("status") != "100" {
		t.Fatalf("before the body: %v, %v, want 100", f, err)
	}
	c.wrote(c.framer.WriteData(1, true, []byte("hello")))
	if h := c.hear(1); strings.Join(h.status, " ") != "200" {
		t.Errorf("status %q, want 200", h.status)
	}
	l.expectSeen(t, "POST / guarded hello", false)
}

// full2 is a body that fills 64 KiB and one byte more, in frames.
func full2(n int) (frames []string) {
	for piece := range slices.Chunk(bytes.Repeat([]byte("a"), n), 16<<10) {
		frames = append(frames, string(piece))
	}
	return frames
}
