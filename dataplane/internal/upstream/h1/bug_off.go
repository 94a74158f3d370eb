//go:build !bug_pool_dirty

package h1

// bugPoolDirty re-introduces a bug, so that a test can show that it would be caught: a connection on which the backend has sent more than
// was asked for is used again.
const bugPoolDirty = false
