package apikey

import "testing"

// FuzzParse checks that Parse takes exactly what generate could have made.
func FuzzParse(f *testing.F) {
	f.Add(zeros)
	f.Add("gk__")
	f.Add("gk_7f3k9qwn2m4x_V2x")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := Parse(s)
		if err != nil {
			if id != "" {
				t.Errorf("Parse(%q) = %q with error %v", s, id, err)
			}
			return
		}
		again := string(appendChecksum([]byte(s[:totalLen-checksumLen])))
		if again != s || len(id) != idLen || ValidName(id) != nil {
			t.Errorf("Parse(%q) = %q, want an id of %d digits and the text %q", s, id, idLen, again)
		}
	})
}
