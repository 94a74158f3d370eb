package control

import (
	"context"
	"errors"
	"time"

	"apigateway/controlplane/internal/config"
)

// Pauses before content that could not be stored is tried again; each is twice the one before.
const (
	firstRetry = time.Second
	lastRetry  = 32 * time.Second
)

// reloads takes up each new content of the file until ctx ends.
func (p *plane) reloads(ctx context.Context, opts Options) error {
	contents := p.watch.Watch(ctx)
	defer func() {
		for range contents { // until its goroutine has ended
		}
	}()
	retry := time.NewTimer(0)
	<-retry.C
	defer retry.Stop()
	var latest []byte
	pause := firstRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-opts.Reload:
			p.watch.Poke()
			continue
		case data, ok := <-contents:
			if !ok {
				return nil
			}
			latest, pause = data, firstRetry
		case <-retry.C:
		}
		if p.reload(ctx, opts, latest) {
			latest = nil
			retry.Stop()
			continue
		}
		retry.Reset(pause)
		pause = min(2*pause, lastRetry)
	}
}

// reload reports whether content was dealt with; otherwise it is to be tried again.
func (p *plane) reload(ctx context.Context, opts Options, data []byte) bool {
	err := p.file.Load(ctx, data)
	var mistakes config.Mistakes
	switch {
	case err == nil || ctx.Err() != nil:
		return true
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			opts.Log.Error("configuration refused, the previous one stays in force", "mistake", m.String())
		}
		return true
	}
	opts.Log.Error("configuration not stored, the previous one stays in force, trying again", "err", err)
	return false
}
