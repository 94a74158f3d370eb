package grpcapi

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Limits of what a data plane says.
const (
	maxID         = 128
	maxText       = 256
	maxReason     = 1024
	maxMiddleware = 1000
	maxUnusable   = 100
	maxRevision   = 1 << 62 // room to count on from
)

func checkHello(h *gatewayv1.Hello) error {
	if err := checkID(h.GetId()); err != nil {
		return invalid("hello: %v", err)
	}
	for _, field := range [...]struct{ name, text string }{
		{"instance", h.GetInstance()}, {"version", h.GetVersion()}, {"address", h.GetAddress()}, {"epoch", h.GetEpoch()},
	} {
		if err := checkText(field.text); err != nil {
			return invalid("hello: %s: %v", field.name, err)
		}
	}
	if h.GetInstance() == "" {
		return invalid("hello: got no instance")
	}
	if len(h.GetMiddleware()) > maxMiddleware {
		return invalid("hello: got %d middleware names (want at most %d)", len(h.GetMiddleware()), maxMiddleware)
	}
	if r := h.GetRejected(); r != nil {
		if !known(r.GetPart()) {
			return invalid("hello: rejected: got part %v (want config or keys)", r.GetPart())
		}
		cleanRejected(r)
	}
	h.Unusable = cleanUnusable(h.GetUnusable())
	if err := checkParts("hello: parts", h.GetParts()); err != nil {
		return err
	}
	return checkParts("hello: serving", h.GetServing())
}

func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("id: got %d bytes (want 1 to %d)", len(id), maxID)
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' && c != ':' {
			return fmt.Errorf("id: got %q (want only letters, digits and . _ - :)", id)
		}
	}
	return nil
}

func checkText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("got %d bytes (want at most %d)", len(s), maxText)
	}
	if clean(s, maxText) != s {
		return fmt.Errorf("got %q (want only printable characters)", s)
	}
	return nil
}

func checkParts(place string, parts []*gatewayv1.PartState) error {
	seen := map[gatewayv1.Part]bool{}
	for _, p := range parts {
		if !known(p.GetPart()) || seen[p.GetPart()] {
			return invalid("%s: got part %v (want config and keys, each at most once)", place, p.GetPart())
		}
		seen[p.GetPart()] = true
		if p.GetRevision() > maxRevision {
			return invalid("%s: got revision %d of %v (want at most %d)", place, p.GetRevision(), p.GetPart(), uint64(maxRevision))
		}
		if _, err := gatewayv1.ParseDigest(p.GetDigest()); err != nil {
			return invalid("%s: %v", place, err)
		}
	}
	return nil
}

func known(part gatewayv1.Part) bool {
	return part == gatewayv1.Part_PART_CONFIG || part == gatewayv1.Part_PART_KEYS
}

// cleanRejected makes a rejection fit to be kept and shown.
func cleanRejected(r *gatewayv1.Rejected) {
	r.Entry, r.Reason = clean(r.GetEntry(), maxText), clean(r.GetReason(), maxReason)
}

// cleanUnusable makes unusable entries fit to be kept and shown.
func cleanUnusable(list []*gatewayv1.UnusableEntry) []*gatewayv1.UnusableEntry {
	list = list[:min(len(list), maxUnusable)]
	for _, u := range list {
		u.Id, u.Reason = clean(u.GetId(), maxText), clean(u.GetReason(), maxText)
	}
	return list
}

// clean returns s fit for an operator's terminal: at most limit bytes of printable characters.
func clean(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
