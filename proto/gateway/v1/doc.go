// Package gatewayv1 is the contract between the control plane, its data planes and gatewayctl: generated messages and
// services, and beside them the few rules that both ends must compute alike (Digest, limits).
//
// Messages are safe for concurrent reading; everything hand-written here is a value.
package gatewayv1

// Limits that both ends of a sync stream enforce.
const (
	// MaxMessage bounds one message of a sync stream, in bytes.
	MaxMessage = 1 << 20
	// MaxServices bounds the services of one configuration.
	MaxServices = 100_000
	// MaxKeys bounds the keys of one store.
	MaxKeys = 10_000_000
)
