package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"apigateway/dataplane/internal/wire"
)

// maxReplay is how much of a request's body is kept so that it can be sent again, in bytes.
const maxReplay = 16 << 10

// replay is a request's body over HTTP/2, which may have to be sent again: a backend that goes (GOAWAY) or is full
// (REFUSED_STREAM) says that it has not looked at a request of which part is on its way already. An attempt that has
// failed may still wait for the client in a goroutine of net/http's; what that one reads is the next attempt's.
type replay struct {
	body *Body

	reading sync.Mutex // held by who reads from the client

	mu   sync.Mutex
	kept []byte // what has been read, from the beginning
	over bool   // more has been read than is kept
	err  error  // that ended the body; nil: it goes on
}

// again reports whether the whole request can be sent once more. p may be nil: it has no body.
func (p *replay) again() bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.over
}

// note keeps what an attempt has read; late says that the attempt has failed meanwhile.
func (p *replay) note(piece []byte, err error, late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	switch {
	case p.over:
	case len(p.kept)+len(piece) > maxReplay && !late:
		p.over, p.kept = true, nil
	default:
		p.kept = append(p.kept, piece...)
	}
}

// lease is the body of one attempt.
type lease struct {
	*replay
	dog     *watchdog   // told who is waited for
	ended   func()      // called when net/http wants no more of the body, but the client is still waited for
	from    http.Header // the client's trailers, whole at the body's end
	trailer http.Header // of what goes to the backend; nil: none was announced

	at     int // in kept, while nothing is over
	closed atomic.Bool
}

// Read is part of io.Reader. One goroutine calls it.
func (l *lease) Read(p []byte) (int, error) {
	n, err := l.read(p)
	if errors.Is(err, io.EOF) {
		for name := range l.trailer {
			l.trailer[name] = l.from[name]
		}
	}
	return n, err
}

func (l *lease) read(p []byte) (int, error) {
	if n, err, ok := l.again(p); ok {
		return n, err
	}
	l.dog.client()
	defer l.dog.backend()
	l.reading.Lock()
	defer l.reading.Unlock()
	if n, err, ok := l.again(p); ok { // an attempt before had still waited for it
		return n, err
	}
	n, err := l.body.Read(p)
	late := l.closed.Load()
	l.note(p[:n], err, late)
	if late {
		return 0, errBodyStopped
	}
	l.at += n
	return n, err
}

// again reads what has been read before, and reports whether there was any.
func (l *lease) again(p []byte) (n int, err error, ok bool) { //nolint:revive // ok goes last, as in a map
	if l.closed.Load() {
		return 0, errBodyStopped, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return 0, nil, false
	case l.at < len(l.kept):
		n = copy(p, l.kept[l.at:])
		l.at += n
		return n, nil, true
	default:
		return 0, l.err, l.err != nil
	}
}

// Close is part of io.Closer: net/http calls it when the attempt is over, also while it reads.
func (l *lease) Close() error {
	l.closed.Store(true)
	if l.reading.TryLock() {
		l.reading.Unlock()
		return nil
	}
	l.ended()
	return nil
}

// announced returns the trailers that a request to the backend is going to have, without values, nil if there are none.
func announced(client http.Header) http.Header {
	if len(client) == 0 {
		return nil
	}
	trailer := make(http.Header, len(client))
	wire.ResponseHeader(trailer, client) // without what frames a message
	for name := range trailer {
		trailer[name] = nil
	}
	return trailer
}
