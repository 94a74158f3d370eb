//go:build bug_ack_early

package publish

const (
	bugAckEarly       = true
	bugUnboundedQueue = false
)
