// Package handover is how a data plane gives its place to a new process of the same id and cache without refusing a connection: the
// listening sockets themselves go over, through a Unix socket in the cache folder, and with them id and cache. The new process asks (Ask),
// the running one answers (Server). What the parts of a data plane have to do for it is Host's, on the one side, and the caller's of
// Takeover on the other; this package knows the order, the limits and what failure means. DESIGN.md has the reasons.
//
// # Protocol
//
// Both sides send one JSON object a line, in turn, of at most 4 KiB:
//
//	new      {"version":1,"step":"request","request":{"id":"edge-1","listen":":8080","admin":"127.0.0.1:6060"}}
//	running  {"version":1,"step":"offer","terms":{…}}       with the sockets as SCM_RIGHTS: public first, then admin
//	new      {"version":1,"step":"take"}                    the sockets are good
//	running  {"version":1,"step":"released"}                id and cache are free
//	new      {"version":1,"step":"ready"}                   it could serve now
//	running  {"version":1,"step":"yours"}                   it accepts no more, and drains
//
// Instead of its step the running process can say {"version":1,"step":"refused","error":"…"}; then nothing has changed.
//
// # Failure
//
// Until it has said yours, the running process goes on serving. If the new one ends, says something else or is late, the running one takes id
// and cache back as if nothing had happened. If the running process ends after released, the new one goes on alone: it has everything.
//
// The socket belongs to whoever holds the cache's lock and has mode 0600: only the same user can ask. Systems other than Unix have no way to
// pass sockets; there Listen and Ask fail with errors.ErrUnsupported.
package handover

import (
	"errors"
	"net"
	"path/filepath"
	"time"
)

const (
	version     = 1
	maxMessage  = 4 << 10
	socketName  = "handover.sock"
	stepRequest = "request"
	stepOffer   = "offer"
	stepTake    = "take"
	stepFree    = "released"
	stepReady   = "ready"
	stepYours   = "yours"
	stepRefused = "refused"
)

// ErrNobody says that no process answers in the folder: there is none, it is starting or ending, or is too old for this.
var ErrNobody = errors.New("nobody to take over from")

// Request is what a new process says of itself. It has to be what the running one was started with.
type Request struct {
	ID     string `json:"id"`
	Listen string `json:"listen"` // as the flag says; may be empty
	Admin  string `json:"admin"`  // likewise
}

// Terms are what goes over, beside the sockets.
type Terms struct {
	Port string `json:"port,omitempty"` // of the configuration that the public socket was bound by; empty: --listen said it
}

// message is one line.
type message struct {
	Version int      `json:"version"`
	Step    string   `json:"step"`
	Error   string   `json:"error,omitempty"`
	Request *Request `json:"request,omitempty"`
	Terms   *Terms   `json:"terms,omitempty"`
}

// patience is how long each side waits for the other.
type patience struct {
	step    time.Duration // for an answer that takes no work
	release time.Duration // for id and cache to be let go
	ready   time.Duration // for the new process to have a configuration
}

// ReadyWithin is how long a new process may take from Take to Ready. The running one waits a little longer.
const ReadyWithin = 45 * time.Second

var unhurried = patience{step: 10 * time.Second, release: 30 * time.Second, ready: ReadyWithin + 15*time.Second}

func socketPath(folder string) string { return filepath.Join(folder, socketName) }

// Sockets are the listening sockets of a data plane.
type Sockets struct{ Public, Admin net.Listener }
