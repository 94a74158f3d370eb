//go:build !unix

package proxy

import "math"

// fileLimit returns how many descriptors the process may have: no limit is known.
func fileLimit() int64 { return math.MaxInt64 }
