package configs

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// smallDisk puts a disk of 1 MiB at a folder. Where that is not allowed, the stores' own tests show what they do with a disk that says
// that it is full, and ok is false.
func (f *fleet) smallDisk(dir string) (d *disk, ok bool) {
	f.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	out, err := exec.CommandContext(f.t.Context(), "mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", dir).CombinedOutput()
	if err != nil {
		f.t.Logf("no disk of 1 MiB here: mount: %v: %s", err, out)
		for folder, run := range map[string]string{"controlplane/internal/store/bolt": "TestFullDisk", "dataplane/internal/cache": "TestFailedReplaceEndsAppends"} {
			if out, err := exec.CommandContext(f.t.Context(), "go", "test", "-run=^"+run+"$", "apigateway/"+folder).CombinedOutput(); err != nil {
				f.t.Errorf("%s: %v\n%s", run, err, out)
			}
		}
		return nil, false
	}
	f.t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			f.t.Errorf("umount: %v: %s", err, out)
		}
	})
	return &disk{f.t, filepath.Join(dir, "ballast")}, true
}

// disk is one that can be filled and emptied.
type disk struct {
	t       *testing.T
	ballast string // a file that takes up room
}

// fill takes up so many bytes, or all that is left if there are fewer.
func (d *disk) fill(bytes int) {
	d.t.Helper()
	file, err := os.Create(d.ballast)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for page := make([]byte, 4096); bytes > 0; bytes -= len(page) {
		if _, err := file.Write(page); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *disk) empty() {
	d.t.Helper()
	if err := os.Remove(d.ballast); err != nil {
		d.t.Fatal(err)
	}
}

// The disk of the store is full: who changes something is told, streams and requests go on, nothing that failed is served anywhere, and once
// there is room it goes on by itself. A kill then loses nothing that was acknowledged and brings nothing that was not.
func TestFullDiskOfTheControlPlane(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	d, ok := f.smallDisk(filepath.Dir(f.store))
	if !ok {
		return
	}
	d.fill(640 << 10)
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	control := f.startControl()
	a := f.startData("a")
	f.awaitServing()
	l := startLoad(t, 2, a, "/users", fileKey)

	acknowledged, refused := map[string]bool{"tester": true}, map[string]bool{}
	var last uint64
	change := func(name string, add bool) (done bool) {
		revision, err := f.change(name, add)
		switch {
		case err != nil && (status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "no space left")):
			t.Errorf("a change on a full disk: %v, want ResourceExhausted for want of space", err)
		case err == nil && add:
			acknowledged[name], last = true, revision
		case err == nil:
			last = revision
			delete(acknowledged, name)
		case add:
			refused[name] = true
		}
		return err == nil
	}
	n := 0
	for change(fmt.Sprint("key-", n), true) {
		n++
	}
	t.Logf("full after %d keys", n)
	for i := range 10 { // some may find room that earlier changes left
		change(fmt.Sprint("late-", i), true)
		change(fmt.Sprint("key-", 2*i), false)
	}
	for name := range refused {
		f.expect(a, "/users", name, answer{status: http.StatusUnauthorized})
	}
	f.awaitLoad(l)
	f.expectProof(f.prove(last, false, patience), "a")
	f.expectKeys(acknowledged)
	f.expect(a, "/users", "key-1", answer{status: http.StatusOK})
	if streams := strings.Count(control.log.String(), `msg="data plane connected"`); streams != 1 {
		t.Errorf("the data plane connected %d times, want its stream to go on", streams)
	}

	d.empty()
	change("roomy", true)
	f.expectProof(f.prove(last, false, patience), "a")
	f.expect(a, "/users", "roomy", answer{status: http.StatusOK})
	f.kill(control)
	f.startControl()
	f.expectKeys(acknowledged)
	f.awaitState("a", gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING)
	endLoad(t, l)
}

// expectKeys checks that the control plane has these keys and no other ones.
func (f *fleet) expectKeys(want map[string]bool) {
	f.t.Helper()
	got := f.keyNames()
	for name := range want {
		if !got[name] {
			f.t.Errorf("key %q was acknowledged and is gone", name)
		}
	}
	for name := range got {
		if !want[name] {
			f.t.Errorf("key %q was not acknowledged and is there", name)
		}
	}
}

// The disk of a data plane's cache is full: changes are in effect and are told as not durable; once there is room they are on disk, and that
// is told too. A restart without a control plane then knows them.
func TestFullDiskOfADataPlane(t *testing.T) {
	t.Parallel()
	f := newProcesses(t)
	cache := filepath.Join(f.dir, "small")
	d, ok := f.smallDisk(cache)
	if !ok {
		return
	}
	f.write(configuration(service("users", guarded, unlimited, newBackend(t, "backend-1"))))
	control := f.startControl()
	small := func(o *proxy.Options) { o.Cache = filepath.Join(cache, "a") }
	a := f.startData("a", small)
	f.awaitServing()
	d.fill(1 << 20)
	var standing *gatewayv1.Rollout
	changes := 0
	for durable := true; durable && changes < 1000; changes++ { // until the last page of the journal is full
		secret, revision := f.addKey(fmt.Sprint("key-", changes))
		standing = f.prove(revision, false, patience).GetRollout()
		if len(standing.GetApplied()) != 1 {
			t.Fatalf("standing = %v, want the key served", standing)
		}
		durable = !standing.GetApplied()[0].GetNotDurable()
		f.expect(a, "/users", secret, answer{status: http.StatusOK})
	}
	if !standing.GetApplied()[0].GetNotDurable() {
		t.Fatalf("%d changes on a full disk were told as durable", changes)
	}
	revision := f.revokeKey("key-0")
	if standing = f.prove(revision, true, patience).GetRollout(); len(standing.GetApplied()) != 1 || !standing.GetApplied()[0].GetNotDurable() {
		t.Errorf("a revocation on a full disk: %v, want it applied and not durable", standing)
	}
	if !long {
		return // the next heartbeat, with which it is tried again, may be 5 s away
	}

	d.empty()
	f.await("the changes to be durable", func() bool {
		applied := f.prove(revision, true, patience).GetRollout().GetApplied()
		return len(applied) == 1 && !applied[0].GetNotDurable()
	})
	f.kill(control)
	f.kill(a)
	a = f.startData("a", small, at(a))
	f.expect(a, "/users", fileKey, answer{status: http.StatusOK})
	if got := f.metrics(a)[`gateway_sync_revision{part="keys"}`]; uint64(got) != revision {
		t.Errorf("it serves revision %v of the keys from its cache, want %d", got, revision)
	}
}
