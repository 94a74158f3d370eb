package http2

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/wire"
)

// certificate returns a server's settings for example.com and those of a client that trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	protos := []string{"h2", "http/1.1"}
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: protos}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// A handler gets the same over HTTP/2 as over HTTP/1.1.
func TestRequest(t *testing.T) {
	server, trusting := certificate(t)
	for _, test := range []struct {
		scheme         string
		server, client *tls.Config
	}{{"http", nil, nil}, {"https", server, trusting}} {
		t.Run(test.scheme, func(t *testing.T) {
			type seen struct{ Proto, Scheme, Client, Path, RawPath, Query, Host string }
			records := make(chan *exchange.Exchange, 1)
			s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				x := exchange.From(r.Context())
				want := seen{"HTTP/2.0", test.scheme, "127.0.0.1", "/a b", "/a%20b", "q=%2F", "example.com"}
				got := seen{r.Proto, x.Scheme, x.ClientIP.String(), r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Host}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
				if (r.TLS != nil) != (test.scheme == "https") || x.Start.IsZero() || x.Status != 0 {
					t.Errorf("TLS %v, start %v, status %d", r.TLS, x.Start, x.Status)
				}
				_, _ = io.WriteString(w, "hello")
				records <- x
			})}
			addr := serve(t, s, test.server)
			req, err := http.NewRequest(http.MethodGet, test.scheme+"://"+addr+"/x/..//%61%20b?q=%2F", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "example.com"
			resp, err := client(t, test.client).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" || resp.ProtoMajor != 2 {
				t.Errorf("answer %q over %s, %v, want hello over HTTP/2", body, resp.Proto, err)
			}
			if x := <-records; x.Status != 200 {
				t.Errorf("status %d in the record, want 200", x.Status)
			}
		})
	}
}

// A Host beside :authority is the same, and not a second one for handlers.
func TestHost(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" || r.Header["Host"] != nil {
			t.Errorf("host %q, header %q, want example.com and none", r.Host, r.Header["Host"])
		}
		noContent(w, r)
	})}
	inBubble(t, s, func(p *peer) {
		p.request(1, true, simple("host", "example.com")...)
		p.request(3, true, ":method", "GET", ":scheme", "http", ":path", "/", "host", "example.com")
		for range 2 {
			if f, ok := p.until(typeHeaders); !ok {
				p.t.Errorf("answer %v, %v, want one", f, ok)
			}
		}
	})
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("a", wire.MaxRequestLine)
	many := make([]string, 0, 2*wire.MaxFields)
	for range wire.MaxFields {
		many = append(many, "x-a", "b")
	}
	replaced := func(name, value string) []string {
		fields := simple()
		for i, f := range fields {
			if f == name {
				fields[i+1] = value
			}
		}
		return fields
	}
	const protocolError = 1
	for _, test := range []struct {
		name   string
		fields []string
		code   string // of the refusal; "": net/http's own
		reset  uint32 // without an answer; 0: there is one
	}{
		{"two lengths", simple("content-length", "0", "content-length", "0"), "bad_content_length", 0},
		{"bad length", simple("content-length", "+1"), "bad_content_length", 0},
		{"length without a body", simple("content-length", "5"), "bad_content_length", 0},
		{"other host", simple("host", "other.example"), "bad_host", 0},
		{"same host twice", simple("host", "example.com", "host", "example.com"), "bad_host", 0},
		{"bad authority", replaced(":authority", "user@example.com"), "", protocolError},
		{"no authority", []string{":method", "GET", ":scheme", "http", ":path", "/"}, "bad_host", 0},
		{"TRACE", replaced(":method", "TRACE"), "method_not_allowed", 0},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "example.com:443"}, "method_not_allowed", 0},
		{"asterisk", replaced(":method", "OPTIONS"), "", 0}, // see below
		{"asterisk with another method", replaced(":path", "*"), "bad_request", 0},
		{"backslash in the path", replaced(":path", `/a\b`), "bad_request", 0},
		{"escape that changes the path", replaced(":path", "/a%5Cb"), "bad_path_escape", 0},
		{"long path", replaced(":path", "/"+long), "uri_too_long", 0},
		{"many fields", simple(many...), "header_too_large", 0},
		{"expectation", simple("expect", "much"), "expectation_failed", 0},
		{"connection header", simple("connection", "close"), "", 0},
		{"transfer coding", simple("transfer-encoding", "chunked"), "", 0},
		{"TE", simple("te", "gzip"), "", 0},
		{"capitals", simple("X-A", "b"), "", protocolError},
		{"control character", simple("x-a", "b\x00"), "", protocolError},
		{"extended CONNECT", []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"}, "", protocolError},
		{"no path", []string{":method", "GET", ":scheme", "http", ":authority", "a"}, "", protocolError},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "asterisk" {
				test.fields, test.code = []string{":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"}, "OPTIONS *"
			}
			code := "" // none was called
			s := &Server{
				Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request was let in") }),
				Refuse: func(w http.ResponseWriter, _ *http.Request, v *wire.Violation) {
					if code = v.Code; v == wire.AnswerOptions {
						code = "OPTIONS *"
					}
					w.WriteHeader(v.Status)
				},
			}
			inBubble(t, s, func(p *peer) {
				t := p.t
				p.request(1, true, test.fields...)
				if test.reset != 0 {
					if f, ok := p.until(typeReset); !ok || f.code() != test.reset {
						t.Errorf("RST_STREAM %v, %v, want code %d", f, ok, test.reset)
					}
				} else if f, ok := p.until(typeHeaders); !ok || f.stream != 1 {
					t.Errorf("answer %v, %v, want one", f, ok)
				}
			})
			if code != test.code {
				t.Errorf("refused with %q, want %q", code, test.code)
			}
		})
	}
}

// An answer before the end of the body is followed by RST_STREAM NO_ERROR, and the connection goes on.
func TestAnswerBeforeTheBody(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })}
	inBubble(t, s, func(p *peer) {
		t := p.t
		for stream := uint32(1); stream < 5; stream += 2 {
			p.request(stream, false, simple("content-length", "1000000")...)
			p.send(typeData, 0, stream, make([]byte, 1000))
			if f, ok := p.until(typeHeaders); !ok || f.stream != stream {
				t.Fatalf("answer %v, %v, want one to stream %d", f, ok, stream)
			}
			if f, ok := p.until(typeReset); !ok || f.stream != stream || f.code() != 0 {
				t.Fatalf("%v, %v behind the answer, want RST_STREAM NO_ERROR", f, ok)
			}
		}
	})
}

func TestPanic(t *testing.T) {
	const internalError = 2
	for _, test := range []struct {
		value any
		told  bool
	}{{"oops", true}, {http.ErrAbortHandler, false}} {
		var told any
		s := &Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half of")
				_ = http.NewResponseController(w).Flush()
				panic(test.value)
			}),
			Panicked: func(_ *exchange.Exchange, value any, _ []byte) { told = value },
		}
		inBubble(t, s, func(p *peer) {
			t := p.t
			p.request(1, true, simple()...)
			if f, ok := p.until(typeReset); !ok || f.code() != internalError {
				t.Errorf("%v, %v behind half an answer, want RST_STREAM INTERNAL_ERROR", f, ok)
			}
		})
		if (told != nil) != test.told {
			t.Errorf("panic(%v) told Panicked %v, want %v", test.value, told, test.told)
		}
	}
}

func TestTrailers(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Declared")
		w.WriteHeader(http.StatusOK)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
		w.Header().Set("X-Declared", r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})}
	addr := serve(t, s, nil)
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/", io.MultiReader(strings.NewReader("abc")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Sum": {"3"}}
	resp, err := client(t, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "abc" {
		t.Errorf("body %q, %v, want abc", body, err)
	}
	if diff := cmp.Diff(http.Header{"X-Declared": {"3"}, "X-Late": {"late"}}, resp.Trailer); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

// What belongs to a connection of HTTP/1.1 does not go out, whatever a handler sets.
func TestConnectionHeaders(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
			w.Header().Set(name, "x")
		}
		w.WriteHeader(http.StatusSwitchingProtocols)
		w.Header().Set("Date", "today")
		w.WriteHeader(http.StatusNoContent)
		w.WriteHeader(http.StatusOK)
	})}
	resp, err := client(t, nil).Get("http://" + serve(t, s, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if diff := cmp.Diff(http.Header{"Date": {"today"}}, resp.Header); diff != "" || resp.StatusCode != http.StatusNoContent {
		t.Errorf("status %d, header (-want +got):\n%s", resp.StatusCode, diff)
	}
}

// Whatever a goroutine of a handler calls once that has returned fails, and touches no later request.
func TestLateUse(t *testing.T) {
	writers := make(chan http.ResponseWriter, 1)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writers <- w
		w.WriteHeader(http.StatusNoContent)
	})}
	resp, err := client(t, nil).Get("http://" + serve(t, s, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	w := (<-writers).(*Writer)
	for !w.isDone() { // the answer may be here before the handler's frames are
		runtime.Gosched()
	}
	w.Header().Set("X", "y")
	w.WriteHeader(http.StatusOK)
	_, werr := w.Write([]byte("x"))
	for what, err := range map[string]error{
		"Write": werr, "Flush": w.FlushError(), "SetReadDeadline": w.SetReadDeadline(time.Now()), "SetWriteDeadline": w.SetWriteDeadline(longAgo),
	} {
		if !errors.Is(err, errLate) {
			t.Errorf("%s after the handler = %v, want %v", what, err, errLate)
		}
	}
}

func (w *Writer) isDone() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.done
}

// A handler that returns while one of its goroutines still writes takes the stream from it.
func TestEndAwaitsWriters(t *testing.T) {
	wrote := make(chan error, 1)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := make(chan struct{})
		go func() {
			big := make([]byte, 1<<20) // more than the windows
			_, _ = w.Write(big[:1])
			close(began)
			_, err := w.Write(big)
			wrote <- err
		}()
		<-began
	})}
	addr := serve(t, s, nil)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	newPeer(t, nc).request(1, true, simple()...)
	if err := <-wrote; err == nil {
		t.Error("a write that nobody takes succeeded")
	}
}
