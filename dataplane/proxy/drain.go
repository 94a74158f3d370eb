package proxy

import (
	"net"
	"net/http"
	"time"
)

const (
	drainIdle  = 5 * time.Second       // how long an idle connection may wait for one more request
	drainCheck = 20 * time.Millisecond // how often it is looked whether all have ended
)

// drain ends the public server: it goes on accepting for the drain delay and stops; requests finish, idle connections end with their
// next answer or after 5 s; what is left at the end of the drain is cut and counted.
func (p *plane) drain(server *http.Server, public net.Listener) {
	start := time.Now()
	p.gateway.draining.Store(true)
	_, active := p.conns.count()
	p.log.Info("draining", "delay", p.opts.DrainDelay, "drain", p.opts.Drain, "requests", active, "tunnels", p.tunnels.Len())
	time.Sleep(p.opts.DrainDelay)
	_ = public.Close() // Serve returns; open connections go on
	deadline, idle := time.NewTimer(p.opts.Drain), time.NewTimer(drainIdle)
	defer deadline.Stop()
	defer idle.Stop()
	check := time.NewTicker(drainCheck)
	defer check.Stop()
	for !p.quiet() {
		select {
		case <-check.C:
		case <-idle.C:
			p.conns.closeIdle()
		case <-deadline.C:
			p.cutOff(server)
			return
		}
	}
	p.log.Info("drained", "took", time.Since(start).Round(time.Millisecond))
}

// quiet reports whether every connection has ended.
func (p *plane) quiet() bool {
	open, _ := p.conns.count()
	return open == 0 && p.tunnels.Len() == 0
}

// cutOff ends what is left.
func (p *plane) cutOff(server *http.Server) {
	_, active := p.conns.count()
	_ = server.Close()
	tunnels := p.tunnels.Close()
	p.cut.Add(float64(active + tunnels))
	p.log.Warn("drain is over, cut what was left", "requests", active, "tunnels", tunnels)
}
