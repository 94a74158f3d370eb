package proxy

import (
	"context"
	"errors"
	"time"
)

// drainCheck is how often it is looked whether all tunnels have ended.
const drainCheck = 20 * time.Millisecond

var errDrained = errors.New("the drain is over")

// drain ends the public server: it goes on accepting for delay and stops; requests finish, idle connections end with their
// next answer or after 5 s; what is left at the end of the drain is cut and counted.
func (p *plane) drain(delay time.Duration) {
	start := time.Now()
	p.server.Drain()
	_, busy := p.server.Count()
	p.log.Info("draining", "delay", delay, "drain", p.opts.Drain, "requests", busy, "tunnels", p.tunnels.Len())
	time.Sleep(delay)
	ctx, cancel := context.WithTimeoutCause(context.Background(), p.opts.Drain, errDrained)
	defer cancel()
	if p.server.Shutdown(ctx) != nil || !p.tunnelsEnd(ctx) {
		p.cutOff()
		return
	}
	p.log.Info("drained", "took", time.Since(start).Round(time.Millisecond))
}

// tunnelsEnd waits until no tunnel is left, and reports whether that came before the end of ctx.
func (p *plane) tunnelsEnd(ctx context.Context) bool {
	check := time.NewTicker(drainCheck)
	defer check.Stop()
	for p.tunnels.Len() > 0 {
		select {
		case <-check.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// cutOff ends what is left.
func (p *plane) cutOff() {
	requests := p.server.Close()
	tunnels := p.tunnels.Close()
	p.cut.Add(float64(requests + tunnels))
	p.log.Warn("drain is over, cut what was left", "requests", requests, "tunnels", tunnels)
}
