package proxy

import (
	"context"
	"encoding/json"
	"net/http"

	"apigateway/dataplane/internal/exchange"
)

// Middleware is one of your own, under a name that services list in middleware: and that middleware_config has an entry for. Make it with
// Plain or WithSettings.
type Middleware struct {
	name    string
	factory Factory
}

// Factory makes a middleware from its mapping under middleware_config, as JSON ({} if it says nothing). It runs when a configuration
// arrives; an error rejects that configuration and is shown to operators. The middleware runs for each request: it gets a fresh request
// and a writer with net/http's whole contract.
type Factory func(settings json.RawMessage) (func(http.Handler) http.Handler, error)

// Plain names a middleware without settings.
func Plain(name string, mw func(http.Handler) http.Handler) Middleware {
	return WithSettings(name, func(json.RawMessage) (func(http.Handler) http.Handler, error) { return mw, nil })
}

// WithSettings names a middleware that is made anew for each configuration.
func WithSettings(name string, f Factory) Middleware { return Middleware{name: name, factory: f} }

// Key returns the name of the API key that auth_apikey verified for the request of ctx, and whether there is one. It is false in
// middleware that stand before auth_apikey.
func Key(ctx context.Context) (name string, ok bool) {
	x := exchange.From(ctx)
	if x == nil || x.Key == nil {
		return "", false
	}
	return x.Key.Name, true
}
