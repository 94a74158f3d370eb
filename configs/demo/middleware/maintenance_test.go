package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMaintenanceSettings(t *testing.T) {
	tests := []struct {
		name, settings, want string // want: the error
	}{
		{"nothing said", `{}`, ""},
		{"all said", `{"active": true, "message": "Back at noon", "retry_after": "90s", "let_in": ["ops"]}`, ""},
		{
			"unknown field", `{"activ": true}`,
			`json: unknown field "activ" (want active, message, retry_after and let_in)`,
		},
		{
			"wrong type", `{"active": "yes"}`,
			"json: cannot unmarshal string into Go struct field maintenance.active of type bool (want active, message, retry_after and let_in)",
		},
		{
			"every mistake", `{"retry_after": "soon", "message": "", "let_in": ["ops", ""]}`,
			`retry_after: not a time to wait, got "soon" (want 1s to 24h, as in 90s)` + "\n" +
				`message: empty, got "" (want a sentence for clients, or no message at all)` + "\n" +
				`let_in[1]: not a key, got "" (want its name)`,
		},
		{"too short", `{"retry_after": "10ms"}`, `retry_after: not a time to wait, got "10ms" (want 1s to 24h, as in 90s)`},
		{"too long", `{"retry_after": "25h"}`, `retry_after: not a time to wait, got "25h" (want 1s to 24h, as in 90s)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			mw, err := newMaintenance([]byte(tt.settings))
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("newMaintenance(%s) = %q, want %q", tt.settings, got, tt.want)
			}
			if (mw == nil) == (err == nil) {
				t.Errorf("newMaintenance(%s) = a middleware: %t, want one if there is no error", tt.settings, mw != nil)
			}
		})
	}
}

func TestMaintenance(t *testing.T) {
	tests := []struct {
		name, settings string
		status         int
		body, wait     string
	}{
		{"not active", `{"active": false}`, 204, "", ""},
		{"active", `{"active": true}`, 503, "Closed for maintenance\n", "60"},
		{"in its own words", `{"active": true, "message": "Back at noon", "retry_after": "90s"}`, 503, "Back at noon\n", "90"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mw, err := newMaintenance([]byte(tt.settings))
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			last := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
			mw(last).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if wait := w.Header().Get("Retry-After"); w.Code != tt.status || w.Body.String() != tt.body || wait != tt.wait {
				t.Errorf("%s: %d %q after %q, want %d %q after %q", tt.settings, w.Code, w.Body, wait, tt.status, tt.body, tt.wait)
			}
		})
	}
}
