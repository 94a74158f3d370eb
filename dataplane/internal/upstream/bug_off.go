//go:build !bug_count_aborts

package upstream

// bugCountAborts re-introduces a bug, so that a test can show that it would be caught: a client that leaves counts as
// a failure of the backend.
const bugCountAborts = false
