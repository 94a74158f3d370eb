//go:build bug_unbounded_queue

package publish

const (
	bugAckEarly       = false
	bugUnboundedQueue = true
)
