// Package apikey holds what every program must agree on about API keys: the form of a made secret, its hash, and the
// names that are derived from them. All three programs use it. It stores nothing and knows no transport; all functions
// are safe for concurrent use. No error of this package ever contains a secret.
//
// A made secret looks like
//
//	gk_7f3k9qwn2m4x_V2xPq0ZkT41sLwYb8nRcD92VcDlW
//	│  │            │                     └ checksum: CRC-32 (IEEE) of all that stands before it, 6 digits of base62
//	│  │            └ secret: 22 random digits of base62, 130 bits
//	│  └ id: 12 random digits of lower-case base32, 60 bits; not secret, shown to operators
//	└ says what this is to a scanner of source code and logs
//
// The digits of base62 are 0-9, A-Z, a-z in this order, most significant first, padded with 0 (the checksum is GitHub's
// for its tokens). Those of base32 are Crockford's, without i, l, o and u. Neither has an underscore, so a secret
// splits at its two. Any other string may be a key too; it only lacks a checksum and an id of its own.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// MaxSecret bounds a secret in bytes, made or not. Data planes refuse a longer one unread.
const MaxSecret = 256

const (
	prefix      = "gk_"
	base32      = "0123456789abcdefghjkmnpqrstvwxyz"
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idLen       = 12
	secretLen   = 22
	checksumLen = 6
	bodyLen     = secretLen + checksumLen
	totalLen    = len(prefix) + idLen + 1 + bodyLen
	maxName     = 64
	hashIDLen   = 12
	fileHashLen = 8
)

// Errors of Parse.
var (
	// ErrForm says that a string has not the form of a made secret.
	ErrForm = errors.New("key: not of the form gk_<12 digits>_<28 digits>")
	// ErrChecksum says that a string has the form of a made secret, but was mistyped or cut.
	ErrChecksum = errors.New("key: wrong checksum (mistyped?)")
)

// Generate makes a secret from the system's random source. It returns an error only if that source does.
func Generate() (string, error) {
	return generate(rand.Reader)
}

func generate(random io.Reader) (string, error) {
	out := make([]byte, 0, totalLen)
	out = append(out, prefix...)
	out, err := appendDigits(out, random, base32, idLen)
	if err != nil {
		return "", err
	}
	out = append(out, '_')
	if out, err = appendDigits(out, random, base62, secretLen); err != nil {
		return "", err
	}
	return string(appendChecksum(out)), nil
}

// appendDigits appends n digits, each equally likely: a byte of the last, incomplete round of the alphabet is thrown
// away.
func appendDigits(out []byte, random io.Reader, alphabet string, n int) ([]byte, error) {
	limit := 256 - 256%len(alphabet)
	buf := make([]byte, 1)
	for n > 0 {
		if _, err := io.ReadFull(random, buf); err != nil {
			return nil, fmt.Errorf("random source: %w", err)
		}
		if b := int(buf[0]); b < limit {
			out = append(out, alphabet[b%len(alphabet)])
			n--
		}
	}
	return out, nil
}

// appendChecksum appends the checksum of s to s.
func appendChecksum(s []byte) []byte {
	var digits [checksumLen]byte
	sum := crc32.ChecksumIEEE(s)
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return append(s, digits[:]...)
}

// Parse returns the id of a made secret. The error is ErrForm or ErrChecksum.
func Parse(s string) (id string, err error) {
	if len(s) != totalLen || s[:len(prefix)] != prefix || s[len(prefix)+idLen] != '_' {
		return "", ErrForm
	}
	id, body := s[len(prefix):len(prefix)+idLen], s[len(prefix)+idLen+1:]
	if !consistsOf(id, base32) || !consistsOf(body, base62) {
		return "", ErrForm
	}
	if string(appendChecksum([]byte(s[:totalLen-checksumLen]))) != s {
		return "", ErrChecksum
	}
	return id, nil
}

func consistsOf(s, alphabet string) bool {
	return strings.Trim(s, alphabet) == ""
}

// Hash returns the SHA-256 of a secret, the only form in which it is sent, stored or logged.
func Hash(secret string) [32]byte {
	return sha256.Sum256([]byte(secret))
}

// SecretID names a secret to operators: the id inside a made secret, else that of its hash.
func SecretID(secret string) string {
	if id, err := Parse(secret); err == nil {
		return id
	}
	return HashID(Hash(secret))
}

// HashID names a secret of which only the hash is known: the first 12 hexadecimal digits.
func HashID(hash [32]byte) string {
	return hex.EncodeToString(hash[:hashIDLen/2])
}

// FileName is the name of a key that a configuration file gives none: "file-" and the first 8 hexadecimal digits of
// its hash.
func FileName(hash [32]byte) string {
	return "file-" + hex.EncodeToString(hash[:fileHashLen/2])
}

// ValidSecret checks a string that is to be a secret, made or not: 1 to MaxSecret bytes of printable ASCII, without spaces at the
// ends, which HTTP takes off a field. It returns nil for a valid one.
func ValidSecret(s string) error {
	if s == "" || len(s) > MaxSecret {
		return fmt.Errorf("secret: wrong length, got %d bytes (want 1 to %d)", len(s), MaxSecret)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("secret: wrong character, got %d bytes (want printable ASCII)", len(s))
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return fmt.Errorf("secret: space at an end, got %d bytes (want none)", len(s))
	}
	return nil
}

// ValidName checks the name of a key or a service: 1 to 64 of the characters A-Z, a-z, 0-9, dot, underscore and
// hyphen. It returns nil for a valid one.
func ValidName(s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("name: wrong length, got %d bytes (want 1 to %d)", len(s), maxName)
	}
	if !consistsOf(s, base62+"._-") {
		return fmt.Errorf("name: wrong character, got %q (want A-Z a-z 0-9 . _ -)", s)
	}
	return nil
}
