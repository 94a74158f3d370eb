package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const day = 24 * time.Hour

// never is the --expires-in of a secret without an end.
const never = "never"

// maxDuration is the longest that the control plane takes: 100 years.
const maxDuration = 100 * 365 * day

// errTooLarge says that a duration is well written, but longer than maxDuration.
var errTooLarge = errors.New("too large")

// expiry returns when a secret ends that is valid for as long as --expires-in says, in Unix milliseconds; 0: never. An
// end that is not ahead is refused, but is no wrong usage: it is well written, and scripts compute it.
func (a *app) expiry(expiresIn string) (int64, error) {
	if expiresIn == never {
		return 0, nil
	}
	length, negative := strings.CutPrefix(expiresIn, "-")
	d, err := parseDuration(length)
	switch {
	case errors.Is(err, errTooLarge):
		return 0, usagef("--expires-in: %w", err)
	case err != nil:
		return 0, usagef("--expires-in: got %q (want a duration such as 90d, 12h or 1w, or never)", expiresIn)
	case negative || d <= 0:
		return 0, fmt.Errorf("--expires-in: lies in the past, got %q (want more than 0)", expiresIn)
	default:
		return a.Now().Add(d).UnixMilli(), nil
	}
}

// parseDuration reads a duration as Go writes them (36h, 1h30m), with two more units: d, of 24 hours, and w, of 7 days.
// It takes no sign, and 100 years at most.
func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, fmt.Errorf("got %q (want a duration such as 90d, 12h or 1w)", s)
	}
	var sum time.Duration
	for rest := s; rest != ""; {
		var part string
		part, rest = cutPart(rest)
		d, err := parsePart(part)
		if errors.Is(err, errTooLarge) || err == nil && d > maxDuration-sum {
			return 0, fmt.Errorf("%w, got %q (want at most %dd)", errTooLarge, s, maxDuration/day)
		} else if err != nil {
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
		number = strings.TrimRightFunc(s, unicode.IsLetter)
		one, err := time.ParseDuration("1" + s[len(number):])
		if err != nil {
			return 0, fmt.Errorf("no duration: %q", s)
		}
		unit = one
	}
	if strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("no number: %q", number)
	}
	n, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("no number: %q", number)
	case n*float64(unit) > float64(maxDuration):
		return 0, errTooLarge
	}
	return time.Duration(n * float64(unit)), nil
}
