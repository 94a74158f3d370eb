package refusal

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apigateway/dataplane/internal/exchange"
)

// grpcCodes is what each code of the table becomes.
var grpcCodes = map[string]int{
	"bad_request": 13, "bad_content_length": 13, "bad_host": 13, "bad_path_escape": 13, "auth_failed": 16, "no_route": 12,
	"method_not_allowed": 12, "request_timeout": 4, "body_too_large": 8, "uri_too_long": 8, "expectation_failed": 13,
	"rate_limited": 8, "header_too_large": 8, "internal_error": 13, "not_implemented": 12, "upstream_error": 14,
	"breaker_open": 14, "not_configured": 14, "upstream_timeout": 4, "version_not_supported": 13,
}

func TestCallsAreRefusedByTrailersOnly(t *testing.T) {
	for code, want := range grpcCodes {
		t.Run(code, func(t *testing.T) {
			reason, ok := ByCode(code)
			if !ok {
				t.Fatalf("no code %q", code)
			}
			x := exchange.New(t.Context())
			x.RequestID = "request-1"
			r := httptest.NewRequest(http.MethodPost, "/users.Users/Get", strings.NewReader("message")).WithContext(x)
			r.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Accept": {"application/json"}}
			w := httptest.NewRecorder()
			w.Header().Set("Retry-After", "1")
			Write(w, r, reason)
			header := http.Header{
				"Content-Type": {"application/grpc"}, "Content-Length": {"0"}, "Grpc-Status": {fmt.Sprint(want)},
				"Grpc-Message": {table[reason].sentence}, "Cache-Control": {"no-store"}, "X-Request-Id": {"request-1"}, "Retry-After": {"1"},
			}
			if diff := cmp.Diff(header, w.Header()); diff != "" || w.Code != http.StatusOK || w.Body.Len() > 0 {
				t.Errorf("answer = %d %q (-want +got):\n%s", w.Code, w.Body, diff)
			}
			if x.Status != reason.Status() || x.Refusal != code || x.Outcome.Failed != reason.Party() {
				t.Errorf("exchange = %d %q %+v, want %d as for anybody else", x.Status, x.Refusal, x.Outcome, reason.Status())
			}
		})
	}
}

func TestIsGRPC(t *testing.T) {
	tests := []struct {
		contentType []string
		want        bool
	}{
		{nil, false},
		{[]string{"application/grpc"}, true},
		{[]string{"application/grpc+json"}, true},
		{[]string{"application/grpc;charset=utf-8"}, true},
		{[]string{"application/grpc-web+proto"}, false},
		{[]string{"application/json"}, false},
		{[]string{"application/grpc", "text/plain"}, false},
	}
	for _, tt := range tests {
		if got := isGRPC(tt.contentType); got != tt.want {
			t.Errorf("isGRPC(%q) = %v, want %v", tt.contentType, got, tt.want)
		}
	}
}
