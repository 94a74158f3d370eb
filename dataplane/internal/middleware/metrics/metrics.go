// Package metrics counts and times the requests of a service that pass through it. Placed last it never sees what the
// middleware before it refuses; placed first it sees everything.
//
// Settings: none.
//
// Responses: none of its own.
//
// Metrics:
//   - http_request_counter{method,status,service}: method is a standard one or "other", status 100 to 599. A client that
//     left before its answer counts as 499, a handler that panicked before it answered as 500.
//   - http_request_timer{service}, a histogram in seconds: from the complete request head until the handler returns, for a
//     tunnel until its response head.
package metrics

import (
	"errors"
	"net/http"
	"time"

	"apigateway/dataplane/internal/chain"
	"apigateway/dataplane/internal/exchange"
)

// statusClientGone is what nginx logs for a client that did not wait for its answer.
const statusClientGone = 499

// Config is one service's settings.
type Config struct {
	Service string
}

// Deps is what the middleware needs from the data plane.
type Deps struct {
	Metrics *Metrics
}

type meter struct {
	series *series
	next   http.Handler
}

// New returns the middleware of one service, whose series exist at zero from now on.
func New(cfg Config, deps Deps) (chain.Middleware, error) {
	if deps.Metrics == nil {
		return nil, errors.New("metrics: no metrics")
	}
	s := deps.Metrics.service(cfg.Service)
	return func(next http.Handler) http.Handler { return &meter{s, next} }, nil
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.From(r.Context())
	x.Observe(m.series)
	method := methodOf(r.Method) // before own middleware can change it
	returned := false
	defer func() {
		m.series.count(method, statusOf(x, returned))
		if !x.Tunnel {
			m.series.timer.Observe(time.Since(x.Start).Seconds())
		}
	}()
	m.next.ServeHTTP(w, r)
	returned = true
}

// statusOf returns the status under which an ended request is counted: that of the head if there was one, else what became
// of the request. returned is false while the handler panics.
func statusOf(x *exchange.Exchange, returned bool) int {
	switch {
	case x.Status >= 100 && x.Status <= 599:
		return x.Status
	case x.Status != 0: // own middleware may send what no backend may
		return http.StatusInternalServerError
	case x.Settled() && x.Outcome.Failed == exchange.Client:
		return statusClientGone
	case !returned:
		return http.StatusInternalServerError
	default: // nothing was written: the server makes it a 200
		return http.StatusOK
	}
}
