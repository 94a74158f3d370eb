package wire_test

import (
	"testing"

	"apigateway/dataplane/internal/wire"
)

func TestParseContentLength(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "5": 5, "9223372036854775807": 1<<63 - 1} {
		if got, v := wire.ParseContentLength([]string{in}); v != nil || got != want {
			t.Errorf("ParseContentLength(%q) = %d, %v, want %d", in, got, v, want)
		}
	}
	bad := [][]string{
		nil,
		{""},
		{"00"},
		{"05"},
		{"+5"},
		{"-5"},
		{" 5"},
		{"5 "},
		{"5,5"},
		{"0x5"},
		{"5_0"},
		{"5", "5"},
		{"٥"},
		{"9223372036854775808"},
		{"10000000000000000000"},
		{"0000000000000000000000005"},
	}
	for _, in := range bad {
		if got, v := wire.ParseContentLength(in); v == nil || v.Code != "bad_content_length" {
			t.Errorf("ParseContentLength(%q) = %d, %v, want bad_content_length", in, got, v)
		}
	}
}

func TestCheckTransferEncoding(t *testing.T) {
	tests := []struct {
		status int
		in     [][]string
	}{
		{0, [][]string{{"chunked"}, {"CHUNKED"}}},
		{501, [][]string{{"gzip"}, {"identity"}, {"xchunked"}, {"gzip, chunked"}, {"gzip", "chunked"}}},
		{400, [][]string{
			nil,
			{""},
			{"chunked, chunked"},
			{"chunked", "chunked"},
			{"chunked, gzip"},
			{"chunked;x=1"},
			{" chunked"},
			{"chunked\t"},
			{"\x0bchunked"},
			{",chunked"},
			{"chunked,"},
			{"chun ked"},
			{"gzip, chunked, chunked"},
			{"gzip;q=1, chunked"},
		}},
	}
	for _, tt := range tests {
		for _, in := range tt.in {
			got := 0
			if v := wire.CheckTransferEncoding(in); v != nil {
				got = v.Status
			}
			if got != tt.status {
				t.Errorf("CheckTransferEncoding(%q): status %d, want %d", in, got, tt.status)
			}
		}
	}
}

func TestParseHost(t *testing.T) {
	tests := []struct {
		in, scheme, host string
		port             uint16
	}{
		{"example.com", "http", "example.com", 0},
		{"Example.COM.:80", "http", "example.com", 0},
		{"example.com:80", "https", "example.com", 80},
		{"example.com:443", "https", "example.com", 0},
		{"example.com:443", "", "example.com", 443},
		{"127.0.0.1:8080", "http", "127.0.0.1", 8080},
		{"[::1]", "http", "[::1]", 0},
		{"[2001:DB8::1]:65535", "http", "[2001:db8::1]", 65535},
		{"localhost:08080", "http", "localhost", 8080},
	}
	for _, tt := range tests {
		host, port, v := wire.ParseHost(tt.in, tt.scheme)
		if v != nil || host != tt.host || port != tt.port {
			t.Errorf("ParseHost(%q, %q) = %q, %d, %v, want %q, %d", tt.in, tt.scheme, host, port, v, tt.host, tt.port)
		}
	}
	bad := []string{
		"", ":", ":80", "a:", "a:0", "a:65536", "a:123456", "a:+1", "a:8a", "a:1:2", "a@b", "a/b", "a b", "a,b", "::1", "[::1", "[::1]80", "[::1]:",
		"[a]", "[::1]:0", "1.2.3", "1.2.3.256", "a..b", ".", "a%41", "é", "a\x00",
	}
	for _, in := range bad {
		if host, port, v := wire.ParseHost(in, "http"); v == nil || v.Code != "bad_host" {
			t.Errorf("ParseHost(%q) = %q, %d, %v, want bad_host", in, host, port, v)
		}
	}
}
