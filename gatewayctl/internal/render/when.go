package render

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// rfc3339 is RFC 3339 in UTC with milliseconds, the precision of everything that the control plane sends.
const rfc3339 = "2006-01-02T15:04:05.000Z"

// instant is Unix milliseconds as JSON shows them: RFC 3339, or null for 0.
type instant int64

// MarshalJSON implements json.Marshaler.
func (i instant) MarshalJSON() ([]byte, error) {
	if i == 0 {
		return []byte("null"), nil
	}
	return []byte(`"` + time.UnixMilli(int64(i)).UTC().Format(rfc3339) + `"`), nil
}

// millis is a duration as JSON shows it. What is no number (a data plane could send it) is null.
type millis float64

// MarshalJSON implements json.Marshaler.
func (m millis) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(m)) || math.IsInf(float64(m), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(m), 'f', -1, 64), nil
}

// age says how long ago ms was: "12s", none for 0.
func (s Style) age(ms int64) string {
	if ms == 0 {
		return none
	}
	return short(s.Now.Sub(time.UnixMilli(ms)))
}

// ago says when ms was: "12s ago", none for 0.
func (s Style) ago(ms int64) string {
	if ms == 0 {
		return none
	}
	return s.age(ms) + " ago"
}

// until says when ms will be: "in 12s", or past when it no longer lies ahead.
func (s Style) until(ms int64, past string) string {
	d := time.UnixMilli(ms).Sub(s.Now)
	if d <= 0 {
		return past
	}
	// To the nearest unit: 30 days less a moment still are 30.
	switch {
	case d < time.Minute:
		d = max(d.Round(time.Second), time.Second)
	case d < time.Hour:
		d = d.Round(time.Minute)
	case d < 48*time.Hour:
		d = d.Round(time.Hour)
	default:
		d = d.Round(24 * time.Hour)
	}
	return "in " + short(d)
}

// short is a duration in its largest unit that still says something: 12s, 4m, 36h, 30d. Less than nothing is 0s: clocks
// of two machines differ.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

// took is a number of milliseconds for people: "8 ms", "3.1 ms".
func took(ms float64) string {
	if ms >= 10 || math.IsNaN(ms) {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return strconv.FormatFloat(math.Round(ms*10)/10, 'f', -1, 64) + " ms"
}
