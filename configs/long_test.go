//go:build system

package configs

// long asks for the long forms of the tests.
const long = true
