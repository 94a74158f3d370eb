// Package authapikey lets a request pass only with a valid API key: exactly one X-API-KEY field of at most 256 bytes whose
// key is known, not expired, and allowed to use the service. The key's identity and the hash of its secret go to the
// exchange, for the middleware behind it and for own middleware.
//
// The X-API-KEY field is removed before the backend, unless forward_key is set, and X-Gateway-Key says the key's name.
// Both happen to the request's own header map. It makes one SHA-256 and one lookup without a lock per request; no key is
// ever compared, kept or logged.
//
// Settings: forward_key (per service, default false).
//
// Responses: 401 auth_failed with WWW-Authenticate, for every reason alike, so that a caller learns nothing about which keys
// exist.
//
// Metrics: none of its own; gateway_refused_total{code="auth_failed"} counts the refusals.
package authapikey

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/keys"
	"apigateway/dataplane/internal/refusal"
	"apigateway/proto/apikey"
)

const (
	keyField  = "X-Api-Key"      // canonical form of X-API-KEY
	nameField = "X-Gateway-Key"  // tells the backend whose request it is
	maxKey    = apikey.MaxSecret // bytes; longer ones are refused before they are hashed

	// challenge is what a 401 must carry (RFC 9110 §15.5.2). No scheme is registered for keys in a field of their own.
	challenge = `ApiKey realm="gateway"`
)

// Config is one service's settings.
type Config struct {
	Service    string // as keys name it in their scope
	ForwardKey bool   // leave X-API-KEY in the request to the backend
}

// Verifier finds out whom a secret identifies at a moment of wall clock. Any verdict but keys.OK refuses. Safe for
// concurrent use.
type Verifier interface {
	Verify(h keys.Hash, now time.Time) (*keys.Identity, keys.Verdict)
}

// Deps is what the middleware needs from the data plane.
type Deps struct {
	Keys Verifier
	Log  *slog.Logger // tells each decision at level debug; nil: slog.Default()
}

type auth struct {
	Config
	Deps
	next http.Handler
}

// New returns the middleware of one service.
func New(cfg Config, deps Deps) (chain.Middleware, error) {
	if deps.Keys == nil {
		return nil, errors.New("auth_apikey: no key table")
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	return func(next http.Handler) http.Handler { return &auth{cfg, deps, next} }, nil
}

func (a *auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values := r.Header[keyField]
	if len(values) == 0 {
		a.refuse(w, r, "", "missing")
		return
	}
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxKey {
		a.refuse(w, r, "", "malformed")
		return
	}
	hash := keys.HashOf(values[0])
	x := exchange.From(r.Context())
	id, verdict := a.Keys.Verify(hash, x.Begun())
	if verdict != keys.OK || id == nil {
		a.refuse(w, r, "", verdict.String())
		return
	}
	if !id.Allows(a.Service) {
		a.refuse(w, r, id.Name, "not allowed for service")
		return
	}
	x.Key, x.KeyHash = id, hash
	if a.ForwardKey {
		r.Header[nameField] = []string{id.Name}
	} else {
		delete(r.Header, keyField)
		values[0] = id.Name // the slice is free now: no need to allocate one
		r.Header[nameField] = values
	}
	a.note(r.Context(), id.Name, "ok")
	a.next.ServeHTTP(w, r)
}

func (a *auth) refuse(w http.ResponseWriter, r *http.Request, name, verdict string) {
	a.note(r.Context(), name, verdict)
	w.Header().Set("WWW-Authenticate", challenge)
	refusal.Write(w, r, refusal.AuthFailed)
}

// note logs a decision, without the key.
func (a *auth) note(ctx context.Context, name, verdict string) {
	if a.Log.Enabled(ctx, slog.LevelDebug) {
		a.Log.LogAttrs(ctx, slog.LevelDebug, "auth_apikey decided", slog.String("service", a.Service),
			slog.String("key", name), slog.String("verdict", verdict), requestID(ctx))
	}
}

func requestID(ctx context.Context) slog.Attr {
	if x := exchange.From(ctx); x != nil {
		return slog.String("request_id", x.RequestID)
	}
	return slog.Attr{}
}
