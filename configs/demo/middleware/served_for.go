package main

import (
	"net/http"

	"apigateway/dataplane/proxy"
)

// servedFor sets X-Served-For to the name of the key that auth_apikey verified. Before auth_apikey, or without it, there
// is none and it sets nothing.
func servedFor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := proxy.Key(r.Context()); ok {
			w.Header().Set("X-Served-For", name)
		}
		next.ServeHTTP(w, r)
	})
}
