//go:build !race

package configs

const race = false
