//go:build bug_revive_key

package cache

const bugReviveKey = true
