// Package reload takes the configuration file up: it parses content, compiles it and publishes what changed, or keeps what was
// in force and says what is wrong. It also answers what the file in force says: its status, its services, its keys.
//
// All methods are safe for concurrent use; loads run one after another.
package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"apigateway/controlplane/internal/compile"
	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/publish"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// File is the configuration file in force.
type File struct {
	path      string
	publisher *publish.Publisher
	log       *slog.Logger

	failures atomic.Uint64

	loading sync.Mutex // held for a whole load

	mu      sync.RWMutex
	inForce *view
	status  status
}

// view is what others ask about the content in force.
type view struct {
	services map[string]bool
	keyLines map[string]int
}

type status struct {
	appliedAt time.Time
	errorAt   time.Time // zero: the newest content is in force
	mistakes  config.Mistakes
}

// New returns a File without content; path is its full path.
func New(path string, p *publish.Publisher, log *slog.Logger) *File {
	return &File{path: path, publisher: p, log: log, inForce: &view{}}
}

// Load takes content up. On an error the content in force stays: config.Mistakes says that the content is wrong, anything
// else that it could not be stored and may be tried again.
func (f *File) Load(ctx context.Context, data []byte) error {
	f.loading.Lock()
	defer f.loading.Unlock()
	cfg, mistakes, warnings := config.Parse(f.path, data)
	if len(mistakes) > 0 {
		return f.refuse(mistakes)
	}
	entries, err := compile.Compile(cfg)
	if err != nil {
		return f.refuse(config.Mistakes{{File: f.path, Message: err.Error()}})
	}
	commit, err := f.publisher.Commit(ctx, func(tx publish.Tx) error { return replace(tx, f.path, cfg, entries) })
	switch {
	case errors.As(err, &mistakes):
		return f.refuse(mistakes)
	case errors.Is(err, publish.ErrInvalid), errors.Is(err, publish.ErrLimit):
		return f.refuse(config.Mistakes{{File: f.path, Message: err.Error()}})
	case err != nil:
		f.note(config.Mistakes{{File: f.path, Message: err.Error()}})
		return fmt.Errorf("store configuration: %w", err)
	}
	f.accept(cfg, commit.Changed)
	for _, w := range warnings {
		f.log.Warn("configuration", "warning", w.String())
	}
	f.log.Info("configuration in force", "file", f.path, "services", len(cfg.Services), "file_keys", len(cfg.Keys),
		"revision", commit.ConfigRevision, "keys_revision", commit.KeysRevision, "changed", commit.Changed)
	return nil
}

// accept notes what is in force. It was applied now if it changed anything, or is the first content since the start.
func (f *File) accept(cfg *config.Config, changed bool) {
	v := &view{services: make(map[string]bool, len(cfg.Services)), keyLines: make(map[string]int, len(cfg.Keys))}
	for _, s := range cfg.Services {
		v.services[s.Name] = true
	}
	for _, k := range cfg.Keys {
		v.keyLines[k.Name] = k.Line
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	applied := f.status.appliedAt
	if changed || applied.IsZero() {
		applied = time.Now()
	}
	f.inForce, f.status = v, status{appliedAt: applied}
}

// refuse notes what is wrong with content that is not taken up.
func (f *File) refuse(m config.Mistakes) error {
	f.failures.Add(1)
	f.note(m)
	return m
}

func (f *File) note(m config.Mistakes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.errorAt, f.status.mistakes = time.Now(), m
}

// Failures counts the contents that were wrong.
func (f *File) Failures() uint64 { return f.failures.Load() }

// HasService reports whether the configuration in force has a service.
func (f *File) HasService(name string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.inForce.services[name]
}

// Line returns where the file in force declares a key.
func (f *File) Line(name string) (file string, line int, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	line, ok = f.inForce.keyLines[name]
	return f.path, line, ok
}

// Status returns the standing of the file.
func (f *File) Status() *gatewayv1.GetConfigStatusResponse {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := &gatewayv1.GetConfigStatusResponse{File: f.path, Revision: f.publisher.State().Config.Revision, Mistakes: messages(f.status.mistakes)}
	if !f.status.appliedAt.IsZero() {
		out.AppliedAtMs = f.status.appliedAt.UnixMilli()
	}
	if !f.status.errorAt.IsZero() {
		out.ErrorAtMs = f.status.errorAt.UnixMilli()
	}
	return out
}
