package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const day = 24 * time.Hour

// never is the --expires-in of a secret without an end.
const never = "never"

// expiry returns when a secret ends that is valid for as long as --expires-in says, in Unix milliseconds; 0: never. An
// end that is not ahead is refused, but is no wrong usage: it is well written, and scripts compute it.
func (a *app) expiry(expiresIn string) (int64, error) {
	if expiresIn == never {
		return 0, nil
	}
	length, negative := strings.CutPrefix(expiresIn, "-")
	d, err := parseDuration(length)
	switch {
	case err != nil:
		return 0, usagef("--expires-in: got %q (want a duration such as 90d, 12h or 1w, or never)", expiresIn)
	case negative || d <= 0:
		return 0, fmt.Errorf("--expires-in: lies in the past, got %q (want more than 0)", expiresIn)
	default:
		return a.Now().Add(d).UnixMilli(), nil
	}
}

// parseDuration reads a duration as Go writes them (36h, 1h30m), with two more units: d, of 24 hours, and w, of 7 days.
// It takes no sign. 292 years are the most that fit.
func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("got %q (want a duration such as 90d, 12h or 1w)", s)
	}
	var sum time.Duration
	for rest := s; rest != ""; {
		var part string
		part, rest = cutPart(rest)
		d, err := parsePart(part)
		if err != nil || d > math.MaxInt64-sum {
			return 0, fmt.Errorf("got %q (want a duration such as 90d, 12h or 1w)", s)
		}
		sum += d
	}
	return sum, nil
}

// cutPart splits "1d12h" behind the first unit.
func cutPart(s string) (part, rest string) {
	unit := strings.IndexFunc(s, unicode.IsLetter)
	if unit < 0 {
		return s, ""
	}
	next := strings.IndexFunc(s[unit:], func(r rune) bool { return !unicode.IsLetter(r) })
	if next < 0 {
		return s, ""
	}
	return s[:unit+next], s[unit+next:]
}

// parsePart reads one number and its unit.
func parsePart(s string) (time.Duration, error) {
	number, unit := s[:len(s)-1], day
	switch s[len(s)-1] {
	case 'd':
	case 'w':
		unit = 7 * day
	default:
		if d, err := time.ParseDuration(s); err == nil && s[0] != '-' && s[0] != '+' {
			return d, nil
		}
		return 0, fmt.Errorf("no duration: %q", s)
	}
	if strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("no number: %q", number)
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*float64(unit) >= math.MaxInt64 {
		return 0, fmt.Errorf("no number that fits: %q", number)
	}
	return time.Duration(n * float64(unit)), nil
}
