package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzAppendRequest has net/http read what was written: it is the one request that was meant, with nothing left over, whatever stands in it.
func FuzzAppendRequest(f *testing.F) {
	f.Add("GET", "/", "", "a", []byte("hello"), false)
	f.Add("POST", "/a%2Fb;c", "d=[e]", "[::1]:80", []byte(""), true)
	f.Add("GET / HTTP/1.1\r\nX:", "/ HTTP/1.1\r\n", " ", "a\r\nX: y", []byte("0\r\n\r\n"), true)
	f.Add("0", "/%", "0", "0", []byte(""), true)
	f.Fuzz(func(t *testing.T, method, path, query, host string, body []byte, chunked bool) {
		if !strings.HasPrefix(path, "/") || host == "" {
			return // the caller sees to these
		}
		r := Request{Method: method, Path: path, Query: query, Host: host, Length: int64(len(body)), HasBody: true}
		if chunked {
			r.Length = -1
		}
		b, err := AppendRequest(nil, &r)
		if err != nil {
			return
		}
		b = append(b, "\r\n"...)
		b = append(b, framed(body, chunked)...)
		in := bufio.NewReader(bytes.NewReader(append(b, "\x00left over"...)))
		got, err := http.ReadRequest(in)
		if err != nil {
			for _, judged := range []string{"invalid URI", "invalid URL escape", "malformed Host"} { // which was done before
				if strings.Contains(err.Error(), judged) {
					return
				}
			}
			t.Fatalf("net/http refuses it: %v\n%q", err, b)
		}
		read, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		target := path
		if query != "" {
			target += "?" + query
		}
		if err != nil || got.Method != method || got.RequestURI != target || got.Host != host || !bytes.Equal(read, body) {
			t.Fatalf("net/http reads %s %s at %s, body %q, %v, of\n%q", got.Method, got.RequestURI, got.Host, read, err, b)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "\x00left over" {
			t.Fatalf("net/http leaves %q of\n%q", rest, b)
		}
	})
}

// framed is a body as it stands on the wire.
func framed(body []byte, chunked bool) []byte {
	if !chunked {
		return body
	}
	var out []byte
	for piece := range slices.Chunk(body, 1000) {
		b := append(make([]byte, ChunkBefore), piece...)
		out = append(out, FrameChunk(append(b, make([]byte, ChunkAfter)...), len(piece))...)
	}
	return append(out, LastChunk...)
}
