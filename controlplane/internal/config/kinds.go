package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"apigateway/proto/apikey"
)

// kind is a kind of scalar: how it is written, and which values there are.
type kind[V any] struct {
	what  string   // for messages: "a whole number"
	want  string   // what may be written, for messages and for the table of settings
	tags  []string // YAML types that it may be written as
	parse func(text string) (V, error)
}

// Problems that a kind's parse returns; any other is shown as it is. Messages add what was got and what is wanted.
var (
	errForm  = errors.New("not of this kind")
	errRange = errors.New("out of range")
)

var (
	textTags   = []string{"!!str"}
	numberTags = []string{"!!int", "!!float"}
	sizeTags   = []string{"!!int", "!!float", "!!str"}
)

// decode reads the scalar at p, or records a mistake.
func (k kind[V]) decode(d *decoder, p *place) (v V, ok bool) {
	n := p.node
	if !d.expect(p, yaml.ScalarNode, k.want) {
		return v, false
	}
	err := errForm
	if slices.Contains(k.tags, n.ShortTag()) {
		v, err = k.parse(n.Value)
	}
	switch {
	case errors.Is(err, errForm):
		d.mistake(p, "not %s, got %s (want %s)", k.what, got(n), k.want)
	case err != nil:
		d.mistake(p, "%v, got %s (want %s)", err, got(n), k.want)
	}
	return v, err == nil
}

// decimal reports whether text is a number in decimal for every reader: 010 is eight to YAML 1.1.
func decimal(text string) bool {
	zero := len(text) > 1 && text[0] == '0' && '0' <= text[1] && text[1] <= '9'
	return !zero && strings.Trim(text, "0123456789.eE+-") == ""
}

// integer is a whole number from low to high.
func integer(low, high int64) kind[int64] {
	return kind[int64]{"a whole number", fmt.Sprintf("%d to %d", low, high), numberTags, func(text string) (int64, error) {
		v, err := strconv.ParseInt(text, 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && (v < low || v > high):
			return 0, errRange
		case err != nil || !decimal(text):
			return 0, errForm
		}
		return v, nil
	}}
}

// number is a decimal number for which ok holds; want says which those are.
func number(want string, ok func(float64) bool) kind[float64] {
	return kind[float64]{"a decimal number", want, numberTags, func(text string) (float64, error) {
		v, err := strconv.ParseFloat(text, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && !ok(v):
			return 0, errRange
		case err != nil || !decimal(text):
			return 0, errForm
		}
		return v, nil
	}}
}

// seconds is a number of seconds, fractions allowed, kept to the millisecond.
func seconds(low, high float64) kind[time.Duration] {
	k := number(fmt.Sprintf("%v to %v seconds", low, high), func(v float64) bool { return low <= v && v <= high })
	return kind[time.Duration]{k.what, k.want, k.tags, func(text string) (time.Duration, error) {
		v, err := k.parse(text)
		return time.Duration(math.Round(v*1e3)) * time.Millisecond, err
	}}
}

// duration is written as 90s or 1h30m, whole milliseconds from low to high; zero says what 0s means, "" if it is not
// allowed.
func duration(low, high time.Duration, zero string) kind[time.Duration] {
	want := short(low) + " to " + short(high)
	if zero != "" {
		want += ", or 0s: " + zero
	}
	return kind[time.Duration]{"a duration such as 90s", want, textTags, func(text string) (time.Duration, error) {
		v, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return 0, errForm
		case v == 0 && zero != "":
			return 0, nil
		case v < low || v > high:
			return 0, errRange
		case v%time.Millisecond != 0:
			return 0, errors.New("finer than a millisecond")
		}
		return v, nil
	}}
}

// short writes 1h0m0s as 1h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// units of sizes, longest first.
var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// size is a number of bytes, as 65536 or 64KiB, up to 1 TiB; 0 is no bound.
func size() kind[int64] {
	const most = 1 << 40
	return kind[int64]{"a size", "bytes as 65536, 64KiB, 10MiB, 1GiB, at most 1024GiB, or 0: no bound", sizeTags, func(text string) (int64, error) {
		for _, unit := range units {
			digits, ok := strings.CutSuffix(text, unit.suffix)
			if !ok {
				continue
			}
			v, err := strconv.ParseInt(digits, 10, 64)
			switch {
			case errors.Is(err, strconv.ErrRange) || err == nil && (v < 0 || v > most/unit.bytes):
				return 0, errRange
			case err != nil || !decimal(digits):
				return 0, errForm
			}
			return v * unit.bytes, nil
		}
		return 0, errForm
	}}
}

// choice is one of two words; the second is true.
func choice(no, yes string) kind[bool] {
	return kind[bool]{"one of two words", no + " or " + yes, textTags, func(text string) (bool, error) {
		if text != no && text != yes {
			return false, errForm
		}
		return text == yes, nil
	}}
}

// boolean is true or false.
func boolean() kind[bool] {
	return kind[bool]{"a truth value", "true or false", []string{"!!bool"}, func(text string) (bool, error) {
		return strings.EqualFold(text, "true"), nil
	}}
}

// itemName is the name of a key or a service.
func itemName() kind[string] {
	return kind[string]{"a name", "1 to 64 of A-Z a-z 0-9 . _ -", textTags, func(text string) (string, error) {
		if apikey.ValidName(text) != nil {
			return "", errForm
		}
		return text, nil
	}}
}

// listenAddress is ":8080", "127.0.0.1:8080", "[::1]:8080" or "name:8080". Port 0 lets the system choose.
func listenAddress() kind[string] {
	return kind[string]{"a listen address", `":8080" or "host:8080", port 0 to 65535`, textTags, func(text string) (string, error) {
		host, port, err := net.SplitHostPort(text)
		if err != nil || strings.ContainsAny(host, " /@%") {
			return "", errForm
		}
		if n, err := strconv.ParseUint(port, 10, 64); err != nil {
			return "", errForm
		} else if n > math.MaxUint16 {
			return "", errRange
		}
		return text, nil
	}}
}

// network is a CIDR prefix, or an address for itself alone.
func network() kind[netip.Prefix] {
	return kind[netip.Prefix]{"a network", "CIDR as 10.0.0.0/8, or an IP address", textTags, func(text string) (netip.Prefix, error) {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			return prefix.Masked(), nil
		}
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, errForm
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}}
}
