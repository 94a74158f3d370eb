package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// zeros is a secret whose checksum was computed with another implementation (Python's zlib.crc32).
const zeros = "gk_000000000000_00000000000000000000003AlBeL"

func TestGenerate(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s, err := Generate()
		if err != nil {
			t.Fatal(err)
		}
		id, err := Parse(s)
		if err != nil {
			t.Fatalf("Parse(Generate()) = %v, want nil", err)
		}
		if want := strings.Split(s, "_"); len(want) != 3 || want[1] != id {
			t.Fatalf("Parse(%q) = %q, want %q of three parts", s, id, want)
		}
		if seen[id] {
			t.Fatalf("id %q was made twice", id)
		}
		seen[id] = true
	}
}

func TestGenerateReportsRandomSource(t *testing.T) {
	broken := errors.New("broken")
	if _, err := generate(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("generate(broken source) = %v, want %v", err, broken)
	}
}

func TestGenerateIsUnbiased(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1}) // always the same digits: the test cannot be unlucky
	counts := map[rune]int{}
	const n = 2000
	for range n {
		s, err := generate(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, digit := range s[len(prefix)+idLen+1 : totalLen-checksumLen] {
			counts[digit]++
		}
	}
	// Without rejection the first eight digits would come a quarter more often. Four standard deviations are 106.
	want := n * secretLen / len(base62)
	for _, digit := range base62 {
		if got := counts[digit]; got < want-106 || got > want+106 {
			t.Errorf("digit %q came %d times, want about %d", digit, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, in, id string
		err          error
	}{
		{"made", zeros, "000000000000", nil},
		{"empty", "", "", ErrForm},
		{"plain key", "abc-123", "", ErrForm},
		{"only the prefix", "gk_", "", ErrForm},
		{"other prefix", "gh" + zeros[2:], "", ErrForm},
		{"cut", zeros[:len(zeros)-1], "", ErrForm},
		{"longer", zeros + "0", "", ErrForm},
		{"upper-case id", strings.Replace(zeros, "_0", "_A", 1), "", ErrForm},
		{"letter that the id lacks", strings.Replace(zeros, "_0", "_l", 1), "", ErrForm},
		{"no second underscore", strings.Replace(zeros, "0_", "00", 1), "", ErrForm},
		{"third underscore", zeros[:30] + "_" + zeros[31:], "", ErrForm},
		{"typo in the id", strings.Replace(zeros, "_0", "_1", 1), "", ErrChecksum},
		{"typo in the secret", zeros[:30] + "1" + zeros[31:], "", ErrChecksum},
		{"typo in the checksum", zeros[:len(zeros)-1] + "!", "", ErrForm},
		{"digits swapped", zeros[:len(zeros)-2] + zeros[len(zeros)-1:] + zeros[len(zeros)-2:len(zeros)-1], "", ErrChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := Parse(tt.in)
			if id != tt.id || !errors.Is(err, tt.err) {
				t.Errorf("Parse(%q) = %q, %v, want %q, %v", tt.in, id, err, tt.id, tt.err)
			}
		})
	}
}

func TestHash(t *testing.T) {
	hash := Hash("abc-123")
	if hash != sha256.Sum256([]byte("abc-123")) {
		t.Errorf("Hash(abc-123) = %x, want its SHA-256", hash)
	}
	digits := hex.EncodeToString(hash[:])
	if got, want := FileName(hash), "file-"+digits[:8]; got != want {
		t.Errorf("FileName = %q, want %q", got, want)
	}
	if got, want := HashID(hash), digits[:12]; got != want {
		t.Errorf("HashID = %q, want %q", got, want)
	}
	if got, want := SecretID("abc-123"), digits[:12]; got != want {
		t.Errorf("SecretID(abc-123) = %q, want %q", got, want)
	}
	if got, want := SecretID(zeros), "000000000000"; got != want {
		t.Errorf("SecretID(%q) = %q, want %q", zeros, got, want)
	}
}

func TestValidSecret(t *testing.T) {
	for _, tt := range []struct{ secret, want string }{
		{zeros, ""},
		{"a", ""},
		{"two words", ""},
		{"~!", ""},
		{strings.Repeat("x", 256), ""},
		{"", "secret: wrong length, got 0 bytes (want 1 to 256)"},
		{strings.Repeat("x", 257), "secret: wrong length, got 257 bytes (want 1 to 256)"},
		{" hush", "secret: space at an end, got 5 bytes (want none)"},
		{"hush ", "secret: space at an end, got 5 bytes (want none)"},
		{"hu\tsh", "secret: wrong character, got 5 bytes (want printable ASCII)"},
		{"hush\x7f", "secret: wrong character, got 5 bytes (want printable ASCII)"},
		{"husché", "secret: wrong character, got 7 bytes (want printable ASCII)"},
	} {
		got := ""
		if err := ValidSecret(tt.secret); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("ValidSecret(%q) = %q, want %q", tt.secret, got, tt.want)
		}
	}
}

func TestValidName(t *testing.T) {
	tests := []struct {
		name string
		want string
	}{
		{"a", ""},
		{"Alice.Example_1-2", ""},
		{strings.Repeat("x", 64), ""},
		{"", "name: wrong length, got 0 bytes (want 1 to 64)"},
		{strings.Repeat("x", 65), "name: wrong length, got 65 bytes (want 1 to 64)"},
		{"a b", `name: wrong character, got "a b" (want A-Z a-z 0-9 . _ -)`},
		{"a\nb", `name: wrong character, got "a\nb" (want A-Z a-z 0-9 . _ -)`},
		{"ä", `name: wrong character, got "ä" (want A-Z a-z 0-9 . _ -)`},
	}
	for _, tt := range tests {
		got := ""
		if err := ValidName(tt.name); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("ValidName(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}
