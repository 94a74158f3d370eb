//go:build bug_apply_unchecked

package snapshot

const bugApplyUnchecked = true
