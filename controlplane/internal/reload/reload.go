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
	appliedAt  time.Time
	refused    problem // of the newest content
	unreadable problem // of the file itself
}

// problem is why the newest content is not in force, or may not be; the zero problem is none.
type problem struct {
	at       time.Time
	mistakes config.Mistakes
}

// New returns a File without content; path is its full path.
func New(path string, p *publish.Publisher, log *slog.Logger) *File {
	return &File{path: path, publisher: p, log: log, inForce: &view{}}
}

// Content is what a file says, checked by itself.
type Content struct {
	config   *config.Config
	entries  compile.Entries
	warnings config.Mistakes
}

// Parse checks content that no store was asked about yet; file is its full path. The error is config.Mistakes.
func Parse(file string, data []byte) (*Content, error) {
	cfg, mistakes, warnings := config.Parse(file, data)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	entries, err := compile.Compile(cfg)
	if err != nil {
		return nil, config.Mistakes{{File: file, Message: err.Error()}}
	}
	return &Content{cfg, entries, warnings}, nil
}

// Load takes content up. On an error the content in force stays: config.Mistakes says that the content is wrong, anything
// else that it could not be stored and may be tried again.
func (f *File) Load(ctx context.Context, data []byte) error {
	f.loading.Lock()
	defer f.loading.Unlock()
	c, err := Parse(f.path, data)
	if mistakes, wrong := errors.AsType[config.Mistakes](err); wrong {
		return f.refuse(mistakes)
	}
	return f.take(ctx, c)
}

// Take is Load of content that was parsed before.
func (f *File) Take(ctx context.Context, c *Content) error {
	f.loading.Lock()
	defer f.loading.Unlock()
	return f.take(ctx, c)
}

func (f *File) take(ctx context.Context, c *Content) error {
	var mistakes config.Mistakes
	commit, err := f.publisher.Commit(ctx, func(tx publish.Tx) error { return replace(tx, f.path, c) })
	switch {
	case errors.As(err, &mistakes):
		return f.refuse(mistakes)
	case errors.Is(err, publish.ErrInvalid), errors.Is(err, publish.ErrLimit):
		return f.refuse(config.Mistakes{{File: f.path, Message: err.Error()}})
	case err != nil:
		f.note(config.Mistakes{{File: f.path, Message: err.Error()}})
		return fmt.Errorf("store configuration: %w", err)
	}
	f.accept(c.config, commit.Changed)
	for _, w := range c.warnings {
		f.log.Warn("configuration", "warning", w.String())
	}
	f.log.Info("configuration in force", "file", f.path, "services", len(c.config.Services), "file_keys", len(c.config.Keys),
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
	f.inForce, f.status = v, status{appliedAt: applied, unreadable: f.status.unreadable}
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
	f.status.refused = problem{time.Now(), m}
}

// Unreadable notes that the file cannot be read, so that nobody knows whether what is in force is still what it says; nil: it can
// be again.
func (f *File) Unreadable(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.status.unreadable = problem{}
		return
	}
	f.failures.Add(1)
	f.status.unreadable = problem{time.Now(), config.Mistakes{{File: f.path, Message: "cannot be read: " + err.Error()}}}
}

// Failures counts the contents that were wrong, and the times that there was none to read.
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
	out := &gatewayv1.GetConfigStatusResponse{File: f.path, Revision: f.publisher.State().Config.Revision}
	if !f.status.appliedAt.IsZero() {
		out.AppliedAtMs = f.status.appliedAt.UnixMilli()
	}
	wrong := f.status.refused
	if !f.status.unreadable.at.IsZero() {
		wrong = f.status.unreadable
	}
	if !wrong.at.IsZero() {
		out.ErrorAtMs = wrong.at.UnixMilli()
	}
	out.Mistakes = messages(wrong.mistakes)
	return out
}
