//go:build !bug_apply_unchecked

package snapshot

// bugApplyUnchecked re-introduces a bug, so that a test can show that it would be caught: live state takes the
// settings of a configuration over before all of it was checked.
const bugApplyUnchecked = false
