package control

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apigateway/controlplane/internal/filewatch"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/reload"
	"apigateway/controlplane/internal/store"
	"apigateway/controlplane/internal/store/bolt"
)

// full is a store whose disk is full for a while.
type full struct {
	store.Store
	full     atomic.Bool
	refusals atomic.Int64
}

func (f *full) Apply(ctx context.Context, ifRevision uint64, records []store.Record) error {
	if f.full.Load() {
		f.refusals.Add(1)
		return store.ErrFull
	}
	return f.Store.Apply(ctx, ifRevision, records)
}

// Content that cannot be stored is tried again, less and less often, until it is stored or other content comes.
func TestReloadsTryAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, oneService)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log := slog.New(slog.DiscardHandler)
		inner, err := bolt.OpenWith(file+".db", bolt.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		s := &full{Store: inner}
		p := &plane{}
		if p.publisher, err = publish.New(ctx, s, log); err != nil {
			t.Fatal(err)
		}
		p.file = reload.New(file, p.publisher, log)
		if p.watch, err = filewatch.New(file, filewatch.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := p.file.Load(ctx, p.watch.Content()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- p.reloads(ctx, Options{Log: log}) }()

		s.full.Store(true)
		write(t, file, twoServices)
		<-time.After(10 * time.Second) // tries after 0, 1, 3 and 7 s
		synctest.Wait()
		if got := s.refusals.Load(); got != 4 || p.file.HasService("orders") {
			t.Errorf("%d refusals after 10 s, want 4", got)
		}
		write(t, file, "services: 3") // the content that waits is out of date: it is not tried again
		<-time.After(time.Second)
		s.full.Store(false)
		<-time.After(time.Minute)
		synctest.Wait()
		if p.file.HasService("orders") || p.file.Failures() != 1 {
			t.Errorf("old content came back, or bad content counted %d times (want 1)", p.file.Failures())
		}
		s.full.Store(true)
		write(t, file, twoServices)
		<-time.After(2 * time.Second)
		s.full.Store(false)
		<-time.After(2 * time.Second)
		synctest.Wait()
		if !p.file.HasService("orders") {
			t.Error("the content is not in force after the disk had room again")
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("reloads() = %v, want nil", err)
		}
		p.publisher.Close()
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
}
