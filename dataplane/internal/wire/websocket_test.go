package wire_test

import (
	"net/http"
	"slices"
	"testing"

	"apigateway/dataplane/internal/wire"
)

func TestWebSocket(t *testing.T) {
	asking := []change{
		field("Connection", "keep-alive, Upgrade"), field("Upgrade", "WebSocket"),
		field("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), field("Sec-Websocket-Version", "13"),
	}
	length := func(n int64) change { return func(r *http.Request) { r.ContentLength = n } }
	tests := []struct {
		name   string
		change change
		asked  bool
		status int
	}{
		{"as it should be", field("X", "y"), true, 0},
		{"beside another protocol", field("Upgrade", "h2c, websocket"), true, 0},
		{"h2c is stripped", field("Upgrade", "h2c"), false, 0},
		{"not named by Connection", field("Connection", "keep-alive"), false, 0},
		{"GET only", method("POST"), false, 0},
		{"HTTP/1.1 only: 1.0", proto(1, 0), false, 0},
		{"HTTP/1.1 only: 2", proto(2, 0), false, 0},
		{"no body", length(5), true, 400},
		{"no body of unknown length", length(-1), true, 400},
		{"no chunked body", chunked, true, 400},
		{"key missing", field("Sec-Websocket-Key"), true, 400},
		{"two keys", field("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), true, 400},
		{"key too short", field("Sec-Websocket-Key", "dGhlIHNhbXBsZQ=="), true, 400},
		{"key not base64", field("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZ!=="), true, 400},
		{"key of 17 bytes", field("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZWU="), true, 400},
		{"version missing", field("Sec-Websocket-Version"), true, 400},
		{"version other than 13", field("Sec-Websocket-Version", "8"), true, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked, v := wire.WebSocket(request(append(slices.Clip(asking), tt.change)...))
			status := 0
			if v != nil {
				status = v.Status
			}
			if asked != tt.asked || status != tt.status {
				t.Errorf("WebSocket = %v, %v, want %v, status %d", asked, v, tt.asked, tt.status)
			}
		})
	}
}
