package circuitbreaker

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apigateway/dataplane/internal/breaker"
	"apigateway/dataplane/internal/exchange"
)

func TestDecisionsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		mw, err := New(Config{Service: "users"}, Deps{
			Breaker: breaker.New(breaker.Settings{FailureThreshold: 1, ResetTimeout: time.Minute}, nil),
			Log:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		h := mw(settle(exchange.Outcome{Failed: exchange.Upstream, Err: errRefused}))
		for _, want := range []string{
			`msg="circuit_breaker passed" service=users request_id=r-7`,
			`msg="circuit_breaker refused" service=users retry_after=1m0s request_id=r-7`,
		} {
			log.Reset()
			x := exchange.New(t.Context())
			x.RequestID = "r-7"
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(x))
			if got := log.String(); !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
				t.Errorf("log = %q, want one line with %q", got, want)
			}
		}
	})
}
