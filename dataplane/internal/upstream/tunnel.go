package upstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/dataplane/internal/exchange"
	"apigateway/dataplane/internal/refusal"
)

// openTunnel joins the client's connection and the backend's after a 101, whose header is set in w. Neither is ever
// pooled. It returns when the tunnel has ended.
func openTunnel(w http.ResponseWriter, a *Attempt, backend io.ReadWriteCloser) Outcome {
	header := w.Header() // a writer may have none once it is hijacked
	conn, client, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return Outcome{Failed: exchange.Gateway, Reason: refusal.InternalError, Err: fmt.Errorf("tunnel: %w", err)}
	}
	defer func() { _ = conn.Close() }()
	a.x.Tunnel, a.x.Status = true, http.StatusSwitchingProtocols
	a.Answered(http.StatusSwitchingProtocols)
	_ = conn.SetDeadline(time.Time{}) // the server's are over; idle time is watched below

	t := &tunnel{client: conn, backend: backend, idle: a.Settings.streamIdle()}
	entry := a.Tunnels.add(a.x, t.close)
	defer a.Tunnels.remove(entry)
	if err := switchProtocols(client.Writer, header); err != nil {
		return Outcome{Failed: exchange.Client, Gone: true, Err: err}
	}
	t.run(client.Reader)
	return Outcome{}
}

// switchProtocols writes the head of the 101 to the client.
func switchProtocols(w *bufio.Writer, h http.Header) error {
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	if _, err := io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\n"); err != nil {
		return err
	}
	if err := h.Write(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	return w.Flush()
}

// tunnel is two connections that are one. It ends when either side ends, when nothing has moved for idle, or by close.
type tunnel struct {
	client  net.Conn
	backend io.ReadWriteCloser
	idle    time.Duration
	moved   atomic.Int64 // when something last did, in nanoseconds since run began
	closing sync.Once
}

// run copies both ways until the tunnel ends. early may hold what the client sent before its 101.
func (t *tunnel) run(early io.Reader) {
	start := time.Now()
	timer := time.NewTimer(t.idle)
	defer timer.Stop()
	var wg sync.WaitGroup
	ended := make(chan struct{})
	wg.Go(func() { t.watch(start, timer, ended) })
	wg.Go(func() { t.pump(t.client, t.backend, start) })
	t.pump(t.backend, early, start)
	close(ended)
	wg.Wait()
}

// watch ends the tunnel once nothing has moved for its idle time.
func (t *tunnel) watch(start time.Time, timer *time.Timer, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-timer.C:
		}
		quiet := time.Since(start) - time.Duration(t.moved.Load())
		if quiet >= t.idle {
			t.close()
			return
		}
		timer.Reset(t.idle - quiet)
	}
}

// pump copies one way and then ends the tunnel. It copies by hand, as io.Copy would not say when something moves.
func (t *tunnel) pump(dst io.Writer, src io.Reader, start time.Time) {
	defer t.close()
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			t.moved.Store(int64(time.Since(start)))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// close ends the tunnel: both connections, once.
func (t *tunnel) close() {
	t.closing.Do(func() {
		_ = t.client.Close()
		_ = t.backend.Close()
	})
}
