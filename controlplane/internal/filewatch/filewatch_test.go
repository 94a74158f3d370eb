package filewatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watched is a file under watch, inside a bubble of testing/synctest: time.Sleep costs none.
type watched struct {
	*testing.T
	*Watcher
	path      string
	delivered chan string
	errs      chan string
}

// watch runs test in a bubble while a file that holds content is watched.
func watch(t *testing.T, content string, opts Options, test func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{
			T:         t,
			path:      filepath.Join(t.TempDir(), "gateway.yaml"),
			delivered: make(chan string, 100),
			errs:      make(chan string, 100),
		}
		write(t, w.path, content)
		opts.OnError = func(err error) { w.errs <- fmt.Sprint(err) }
		var err error
		w.Watcher, err = New(w.path, opts)
		must(t, err)
		if got := string(w.Content()); got != content {
			t.Errorf("Content() = %q, want %q", got, content)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for data := range w.Watch(ctx) {
				w.delivered <- string(data)
			}
		}()
		test(w)
		cancel()
		<-done
	})
}

// after lets time pass and compares what was delivered since the last call.
func (w *watched) after(d time.Duration, want ...string) {
	w.Helper()
	time.Sleep(d)
	synctest.Wait()
	if diff := cmp.Diff(want, all(w.delivered)); diff != "" {
		w.Errorf("delivered within %v (-want +got):\n%s", d, diff)
	}
}

// all takes what is in the channel.
func all(c <-chan string) (list []string) {
	for len(c) > 0 {
		list = append(list, <-c)
	}
	return list
}

// TestEveryWay changes the content of a file in every way that is known.
func TestEveryWay(t *testing.T) {
	tests := []struct {
		name   string
		change func(w *watched)
	}{
		{"written in place", func(w *watched) {
			write(w.T, w.path, "new")
		}},
		{"renamed over", func(w *watched) {
			write(w.T, w.path+".tmp", "new")
			must(w.T, os.Rename(w.path+".tmp", w.path))
		}},
		{"same size and time", func(w *watched) {
			stamp, err := os.Stat(w.path)
			must(w.T, err)
			write(w.T, w.path, "new")
			must(w.T, os.Chtimes(w.path, stamp.ModTime(), stamp.ModTime()))
		}},
		{"removed and written", func(w *watched) {
			must(w.T, os.Remove(w.path))
			time.Sleep(time.Second)
			write(w.T, w.path, "new")
		}},
		{"replaced by a link", func(w *watched) {
			write(w.T, w.path+".other", "new")
			must(w.T, os.Remove(w.path))
			must(w.T, os.Symlink(w.path+".other", w.path))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			watch(t, "old", Options{}, func(w *watched) {
				w.after(time.Minute)
				tt.change(w)
				w.after(time.Second, "new")
				w.after(time.Minute)
				write(w.T, w.path, "old")
				w.after(time.Second, "old")
			})
		})
	}
}

// TestKubernetesVolume swaps the link of a folder, as a kubelet does with a config map.
func TestKubernetesVolume(t *testing.T) {
	watch(t, "old", Options{}, func(w *watched) {
		dir := filepath.Dir(w.path)
		for _, version := range []string{"v1", "v2"} {
			must(w.T, os.Mkdir(filepath.Join(dir, version), 0o700))
			write(w.T, filepath.Join(dir, version, "gateway.yaml"), version)
		}
		must(w.T, os.Symlink("v1", filepath.Join(dir, "..data")))
		must(w.T, os.Remove(w.path))
		must(w.T, os.Symlink(filepath.Join("..data", "gateway.yaml"), w.path))
		w.after(time.Second, "v1")
		must(w.T, os.Symlink("v2", filepath.Join(dir, "..tmp")))
		must(w.T, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
		w.after(time.Second, "v2")
	})
}

func TestHalfWrittenIsNotDelivered(t *testing.T) {
	watch(t, "old", Options{Interval: time.Second}, func(w *watched) {
		for _, content := range []string{"", "h", "ha", "hal", "half"} {
			write(w.T, w.path, content)
			w.after(time.Second)
		}
		w.after(time.Second, "half")
	})
}

func TestChangedAndBack(t *testing.T) {
	watch(t, "old", Options{Interval: time.Second}, func(w *watched) {
		write(w.T, w.path, "new")
		w.after(time.Second)
		write(w.T, w.path, "old")
		w.after(time.Second)
		write(w.T, w.path, "new")
		w.after(time.Second)
		w.after(time.Second, "new")
	})
}

func TestMissingFileIsNotAChange(t *testing.T) {
	watch(t, "old", Options{Interval: time.Second}, func(w *watched) {
		must(w.T, os.Remove(w.path))
		w.after(time.Second)
		if errs := all(w.errs); len(errs) > 0 {
			w.Errorf("errors after one look: %q, want none", errs)
		}
		w.after(time.Minute)
		want := []string{"stat " + w.path + ": no such file or directory"}
		if diff := cmp.Diff(want, all(w.errs)); diff != "" {
			w.Errorf("errors (-want +got):\n%s", diff)
		}
		write(w.T, w.path, "old")
		w.after(time.Minute)
		must(w.T, os.Remove(w.path))
		w.after(time.Minute)
		if diff := cmp.Diff(append([]string{"<nil>"}, want...), all(w.errs)); diff != "" {
			w.Errorf("errors when it came back and was missing again (-want +got):\n%s", diff)
		}
	})
}

func TestUnusableFile(t *testing.T) {
	watch(t, "old", Options{MaxSize: 4}, func(w *watched) {
		write(w.T, w.path, "12345")
		w.after(time.Second)
		must(w.T, os.Remove(w.path))
		must(w.T, os.Mkdir(w.path, 0o700))
		w.Poke()
		w.after(0)
		want := []string{
			w.path + ": file too large, got more than 4 bytes (want at most that)",
			w.path + ": wrong type, got d--------- (want a regular file)",
		}
		if diff := cmp.Diff(want, all(w.errs)); diff != "" {
			w.Errorf("errors (-want +got):\n%s", diff)
		}
		must(w.T, os.Remove(w.path))
		write(w.T, w.path, "1234")
		w.after(time.Second, "1234")
		if diff := cmp.Diff([]string{"<nil>"}, all(w.errs)); diff != "" {
			w.Errorf("errors when it was usable again (-want +got):\n%s", diff)
		}
	})
}

func TestPokeReadsNow(t *testing.T) {
	watch(t, "old", Options{Interval: time.Hour}, func(w *watched) {
		write(w.T, w.path, "new")
		w.Poke()
		w.after(0, "new")
		w.Poke()
		w.after(0, "new")
		w.after(3 * time.Hour)
	})
}

// TestLargeFileIsReadSeldom changes a large file without changing its stamp: only a full read can tell.
func TestLargeFileIsReadSeldom(t *testing.T) {
	old := strings.Repeat("o", alwaysRead+1)
	watch(t, old, Options{}, func(w *watched) {
		changed := strings.Repeat("n", alwaysRead+1)
		stamp, err := os.Stat(w.path)
		must(w.T, err)
		write(w.T, w.path, changed)
		must(w.T, os.Chtimes(w.path, stamp.ModTime(), stamp.ModTime()))
		w.after(4 * time.Second)
		w.after(2*time.Second, changed)
		write(w.T, w.path, old+"o")
		w.after(time.Second, old+"o")
	})
}

func TestSlowReceiverGetsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gateway.yaml")
		write(t, path, "0")
		w, err := New(path, Options{})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		contents := w.Watch(ctx)
		for _, content := range []string{"1", "2", "3"} {
			write(t, path, content)
			time.Sleep(time.Minute)
		}
		if first, last := string(<-contents), string(<-contents); first != "1" || last != "3" {
			t.Errorf("received %q, %q, want what waited, then what is there now", first, last)
		}
		cancel()
		if _, open := <-contents; open {
			t.Error("channel still open after the end of the context")
		}
	})
}

func TestNewReportsError(t *testing.T) {
	_, err := New(filepath.Join(t.TempDir(), "missing"), Options{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("New(missing file) = %v, want %v", err, fs.ErrNotExist)
	}
}
