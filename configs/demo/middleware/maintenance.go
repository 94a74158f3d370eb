package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"apigateway/dataplane/proxy"
)

// maintenance is the mapping middleware_config.maintenance of the configuration file.
type maintenance struct {
	Active     bool     `json:"active"`
	Message    string   `json:"message"`     // of the answer; default: Closed for maintenance
	RetryAfter string   `json:"retry_after"` // 1s to 24h, told to clients in whole seconds; default: 1m
	LetIn      []string `json:"let_in"`      // names of keys that are served all the same
}

// newMaintenance makes the middleware. The data plane calls it when a configuration arrives; an error rejects that
// configuration, so nothing is left to fail at a request.
func newMaintenance(raw json.RawMessage) (func(http.Handler) http.Handler, error) {
	settings := maintenance{Message: "Closed for maintenance", RetryAfter: "1m"}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&settings); err != nil {
		return nil, fmt.Errorf("%w (want active, message, retry_after and let_in)", err)
	}
	wait, err := settings.validate()
	if err != nil {
		return nil, err
	}
	if !settings.Active {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	retryAfter := strconv.Itoa(int(wait.Seconds()))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, ok := proxy.Key(r.Context()); ok && slices.Contains(settings.LetIn, name) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Retry-After", retryAfter)
			http.Error(w, settings.Message, http.StatusServiceUnavailable)
		})
	}, nil
}

// validate names all mistakes at once.
func (m maintenance) validate() (retryAfter time.Duration, err error) {
	var errs []error
	retryAfter, err = time.ParseDuration(m.RetryAfter)
	if err != nil || retryAfter < time.Second || retryAfter > 24*time.Hour {
		errs = append(errs, fmt.Errorf("retry_after: not a time to wait, got %q (want 1s to 24h, as in 90s)", m.RetryAfter))
	}
	if m.Message == "" {
		errs = append(errs, errors.New(`message: empty, got "" (want a sentence for clients, or no message at all)`))
	}
	if i := slices.Index(m.LetIn, ""); i >= 0 {
		errs = append(errs, fmt.Errorf(`let_in[%d]: not a key, got "" (want its name)`, i))
	}
	return retryAfter, errors.Join(errs...)
}
