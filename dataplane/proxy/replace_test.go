package proxy

import (
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"apigateway/dataplane/internal/handover"
)

// A process that was started for another place gets nothing of this one.
func TestOfferIsForTheSamePlace(t *testing.T) {
	i := &incumbent{plane: &plane{opts: Options{ID: "a", Listen: ":8080", Admin: ":6060"}}}
	port := ":8080"
	i.port.Store(&port)
	for _, tt := range []struct {
		name string
		r    handover.Request
		want string // how the error begins, "" for none
	}{
		{"the same", handover.Request{ID: "a", Listen: ":8080", Admin: ":6060"}, ""},
		{"another id", handover.Request{ID: "b", Listen: ":8080", Admin: ":6060"}, `--id: got "b" (want "a", `},
		{"another public address", handover.Request{ID: "a", Listen: ":8081", Admin: ":6060"}, `--listen: got ":8081" (want ":8080", `},
		{"no public address", handover.Request{ID: "a", Admin: ":6060"}, `--listen: got "" (want ":8080", `},
		{"another admin address", handover.Request{ID: "a", Listen: ":8080", Admin: ":6061"}, `--admin: got ":6061" (want ":6060", `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, terms, err := i.Offer(tt.r)
			if tt.want == "" {
				if err != nil || terms.Port != port {
					t.Errorf("Offer() = %+v, %v, want the port of the configuration", terms, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Offer() = %v, want %q", err, tt.want)
			}
		})
	}
}

// With nobody to take over from, --replace changes nothing; a port that is taken stays an error.
func TestReplaceNobody(t *testing.T) {
	opts := Options{
		ID: "a", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Cache: filepath.Join(t.TempDir(), "cache"), Replace: true,
		Log: slog.New(slog.DiscardHandler),
	}
	s, err := openSockets(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	select {
	case <-s.mine:
	default:
		t.Error("the sockets are not this process's own")
	}
	if err := s.take(t.Context()); err != nil {
		t.Errorf("take() = %v, want nil", err)
	}
	opts.Listen = s.public.Addr().String()
	if _, err := openSockets(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "is taken by another process") {
		t.Errorf("openSockets() on a port that is taken = %v, want an error", err)
	}
}

func TestReplaceNeedsACache(t *testing.T) {
	if _, err := parseFlags([]string{"--replace", "--cache", "off"}, io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "--replace: got it with --cache off") {
		t.Errorf("parseFlags() = %v, want an error", err)
	}
	if opts, err := parseFlags([]string{"--replace"}, io.Discard, io.Discard); err != nil || !opts.Replace {
		t.Errorf("parseFlags() = %+v, %v, want --replace", opts, err)
	}
}
