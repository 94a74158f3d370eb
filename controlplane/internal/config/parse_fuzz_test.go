package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse checks that nothing ends the process, that there is a Config exactly if there are no mistakes, that every
// message stands in one line with its place, and that the same file gives the same Config.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	samples, err := filepath.Glob("../../../configs/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, samples...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, mistakes, warnings := Parse("f.yaml", data)
		if (c == nil) != (len(mistakes) > 0) {
			t.Fatalf("Parse(%q) = %v with %d mistakes", data, c, len(mistakes))
		}
		for _, m := range append(mistakes, warnings...) {
			if m.Line < 1 || m.Column < 1 || m.Message == "" || strings.ContainsAny(m.String(), "\n\r\x1b\x00") {
				t.Errorf("Parse(%q): bad message %q", data, m)
			}
		}
		if c == nil {
			return
		}
		for _, s := range c.Services {
			if s.Name == "" || s.RoutePattern == "" || len(s.URLs) == 0 || !(s.RateLimitRPS > 0 && s.RateLimitRPS <= 1e9) || s.CBResetTimeout <= 0 {
				t.Errorf("Parse(%q): service that cannot be served: %+v", data, s)
			}
		}
	})
}
