//go:build bug_count_aborts

package upstream

const bugCountAborts = true
