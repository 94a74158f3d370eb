package configsync

import "strings"

// contains passes over the white space that protobuf varies in its errors.
func contains(s, part string) bool {
	return strings.Contains(strings.ReplaceAll(s, "\u00a0", " "), part)
}
