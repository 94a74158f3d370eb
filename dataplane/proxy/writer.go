package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"apigateway/dataplane/internal/exchange"
)

// writer is the one writer of a request: it notes the final status in the exchange, so that no middleware has to wrap it. It keeps what
// the server's writer can do: Flush, ReadFrom, Hijack, and deadlines through http.ResponseController.
type writer struct {
	http.ResponseWriter
	x    *exchange.Exchange
	last func() bool // asked when the final head goes out: it ends its connection
}

// WriteHeader implements http.ResponseWriter. Interim heads are not the final one; 101 is.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.final(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	w.final(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// ReadFrom implements io.ReaderFrom: the server's writer can splice.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	w.final(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

// Flush implements http.Flusher.
func (w *writer) Flush() {
	w.final(http.StatusOK)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a client that has gone shows at the next write
}

// Hijack implements http.Hijacker. Who takes the connection over notes the status itself.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// final notes the status of the final head, that of the first call; a write without a head stands for a 200.
func (w *writer) final(status int) {
	if w.x.Status != 0 {
		return
	}
	w.x.Status = status
	if status != http.StatusSwitchingProtocols && w.last() {
		w.Header().Set("Connection", "close")
	}
}
