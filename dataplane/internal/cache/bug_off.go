//go:build !bug_revive_key

package cache

// bugReviveKey re-introduces a bug, so that a test can show that it would be caught: damage in the journal is
// taken for its end, and a revocation behind it is lost.
const bugReviveKey = false
