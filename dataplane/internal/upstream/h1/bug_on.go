//go:build bug_pool_dirty

package h1

const bugPoolDirty = true
