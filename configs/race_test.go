//go:build race

package configs

const race = true
