package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// Describe returns the member as operators see it, beside the store's newest state.
func (m *Member) Describe(head store.State) *gatewayv1.DataPlane {
	m.mu.Lock()
	defer m.mu.Unlock()
	config, keys := &m.served[0], &m.served[1]
	state, reason := m.stateLocked(head)
	out := &gatewayv1.DataPlane{
		Id: m.id, Address: m.address, Version: m.version, State: state, Reason: reason,
		Revision: max(config.revision, keys.revision), ConfigRevision: config.revision, KeysRevision: keys.revision,
		Digest: config.digest.Add(keys.digest).Bytes(), DesiredRevision: max(head.Config.Revision, head.Keys.Revision), LastSeenAtMs: unixMilli(m.lastSeen),
	}
	if m.session != nil {
		out.ConnectedAtMs, out.ClockOffsetMs = unixMilli(m.connectedAt), millis(m.offset)
	}
	return out
}

func (m *Member) stateLocked(head store.State) (gatewayv1.DataPlaneState, string) {
	switch {
	case m.session == nil:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED, ""
	case m.foreign != "":
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_FOREIGN, m.foreign
	case m.rejected != nil:
		return gatewayv1.DataPlaneState_DATA_PLANE_STATE_REJECTED, rejection(m.rejected)
	}
	for i, name := range [2]string{"config", "keys"} {
		served, newest := &m.served[i], [2]store.Part{head.Config, head.Keys}[i]
		switch {
		case !served.proven:
			return gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, fmt.Sprintf("%s not confirmed yet, newest is revision %d", name, newest.Revision)
		case served.revision < newest.Revision:
			return gatewayv1.DataPlaneState_DATA_PLANE_STATE_LAGGING, fmt.Sprintf("%s at revision %d of %d", name, served.revision, newest.Revision)
		}
	}
	return gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING, ""
}

// rejection is a refusal for people. Most reasons name their entry themselves.
func rejection(r *gatewayv1.Rejected) string {
	if r.GetEntry() == "" || strings.Contains(r.GetReason(), strconv.Quote(r.GetEntry())) {
		return fmt.Sprintf("revision %d: %s", r.GetRevision(), r.GetReason())
	}
	return fmt.Sprintf("revision %d: %s: %s", r.GetRevision(), r.GetEntry(), r.GetReason())
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// millis returns milliseconds with three decimals.
func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
