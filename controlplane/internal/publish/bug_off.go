//go:build !bug_ack_early && !bug_unbounded_queue

package publish

// Each of these re-introduces a bug, so that a test can show that it would be caught.
const (
	bugAckEarly       = false // a change is answered and shown before the store has it
	bugUnboundedQueue = false // what a stream does not take yet waits for it, however much that is
)
