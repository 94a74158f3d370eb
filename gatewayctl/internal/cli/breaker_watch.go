package cli

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// redraw is how often a terminal is drawn again, so that relative times go on.
const redraw = time.Second

// Control sequences of a terminal.
const (
	clearScreen = "\x1b[2J"
	cursorHome  = "\x1b[H"
	clearToEOL  = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// breakerPages are the pages of a watch.
type breakerPages = iter.Seq2[*gatewayv1.ListBreakersResponse, error]

// runWatch follows changes until ctx ends, which is how a watch is meant to end.
func (o *breakerStatus) runWatch(ctx context.Context, c *client, req *gatewayv1.ListBreakersRequest) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	c.patient = true
	updates := reported(req.GetService(), pages(watch, c, c.breakers.ListBreakers, req))
	var err error
	switch {
	case o.app.json():
		err = o.watchJSON(updates)
	case o.app.Draws:
		err = o.watchScreen(updates, stop)
	default:
		err = o.watchLines(updates)
	}
	if ctx.Err() != nil {
		return nil
	}
	return cmp.Or(err, errEnded)
}

// reported passes updates on, and ends them with an error if there is nothing about the service when all that there was
// has been sent.
func reported(service string, updates breakerPages) breakerPages {
	return func(yield func(*gatewayv1.ListBreakersResponse, error) bool) {
		count := 0
		for page, err := range updates {
			count += len(page.GetBreakers())
			if err == nil && page.GetSynced() {
				err = unreported(service, count)
				service = ""
			}
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

// watchJSON writes one object a line.
func (o *breakerStatus) watchJSON(updates breakerPages) error {
	for page, err := range updates {
		if err != nil {
			return err
		}
		for _, b := range page.GetBreakers() {
			if err := render.Object(o.app.Stdout, render.NewBreaker(b)); err != nil {
				return err
			}
		}
	}
	return nil
}

// watchLines writes the table once, then a line for each change.
func (o *breakerStatus) watchLines(updates breakerPages) error {
	seen := board{}
	for page, err := range updates {
		if err != nil {
			return err
		}
		if seen.synced {
			for _, b := range page.GetBreakers() {
				if err := render.BreakerLine(o.app.Stdout, o.style(), b); err != nil {
					return err
				}
			}
			continue
		}
		seen.apply(page)
		if seen.synced {
			if err := render.Breakers(o.app.Stdout, o.style(), seen.all()); err != nil {
				return err
			}
			seen.state = nil // lines need no memory
		}
	}
	return nil
}

// watchScreen draws the table again at each change, and each second. stop ends updates.
func (o *breakerStatus) watchScreen(updates breakerPages, stop func()) error {
	incoming, done := make(chan update), make(chan struct{})
	go forward(updates, incoming, done)
	defer func() {
		stop()
		close(done)
		for range incoming { // until forward has ended
		}
	}()
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	var seen board
	if _, err := io.WriteString(o.app.Stdout, clearScreen); err != nil {
		return err
	}
	for {
		select {
		case u, ok := <-incoming:
			if !ok || u.err != nil {
				return u.err
			}
			seen.apply(u.page)
		case <-ticker.C:
		}
		if !seen.synced {
			continue
		}
		if err := o.draw(seen.all()); err != nil {
			return err
		}
	}
}

// draw writes one frame in one piece, line over line, so that it does not flicker.
func (o *breakerStatus) draw(all []*gatewayv1.DataPlaneBreaker) error {
	var frame bytes.Buffer
	if err := render.Breakers(&frame, o.style(), all); err != nil {
		return err
	}
	lines := bytes.ReplaceAll(frame.Bytes(), []byte("\n"), []byte(clearToEOL+"\n"))
	_, err := o.app.Stdout.Write(slices.Concat([]byte(cursorHome), lines, []byte(clearBelow)))
	return err
}

// update is one step of a watch.
type update struct {
	page *gatewayv1.ListBreakersResponse
	err  error
}

// forward moves updates to a channel, which it closes at their end.
func forward(updates breakerPages, to chan<- update, done <-chan struct{}) {
	defer close(to)
	for page, err := range updates {
		select {
		case to <- update{page, err}:
		case <-done:
			return
		}
	}
}

// board is the newest state of each breaker.
type board struct {
	state  map[[2]string]*gatewayv1.DataPlaneBreaker // by service and data plane
	synced bool
}

func (b *board) apply(page *gatewayv1.ListBreakersResponse) {
	if b.state == nil {
		b.state = map[[2]string]*gatewayv1.DataPlaneBreaker{}
	}
	for _, breaker := range page.GetBreakers() {
		id := [2]string{breaker.GetState().GetService(), breaker.GetDataplane()}
		if breaker.GetState().GetState() == gatewayv1.CircuitState_CIRCUIT_STATE_UNSPECIFIED {
			delete(b.state, id) // gone
			continue
		}
		b.state[id] = breaker
	}
	b.synced = b.synced || page.GetSynced()
}

func (b *board) all() []*gatewayv1.DataPlaneBreaker {
	return slices.Collect(maps.Values(b.state))
}
