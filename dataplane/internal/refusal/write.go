package refusal

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"apigateway/dataplane/internal/exchange"
)

// body is one reason's answer in one representation, rendered once.
type body struct {
	contentType string
	length      string
	bytes       []byte
}

// plain and problem hold every answer, indexed by reason; they are never written after initialisation.
var (
	plain   = render("text/plain; charset=utf-8", plainText)
	problem = render("application/problem+json", problemJSON)
)

func render(contentType string, encode func(entry) []byte) (all [reasons]body) {
	for i, e := range table {
		b := encode(e)
		all[i] = body{contentType, strconv.Itoa(len(b)), b}
	}
	return all
}

func plainText(e entry) []byte { return []byte(e.sentence + "\n") }

// problemJSON renders RFC 9457; with type about:blank the title is the status' own phrase.
func problemJSON(e entry) []byte {
	b, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(e.status), e.status, e.code, e.sentence})
	if err != nil {
		return plainText(e) // cannot be: strings and a number always marshal
	}
	return append(b, '\n')
}

// Write answers r with the reason's status and fixed sentence, and notes the refusal in the request's exchange, which it
// settles. Nothing may have been written to w before but headers. What is left of the request's body is the server's to deal
// with.
func Write(w http.ResponseWriter, r *http.Request, reason Reason) {
	WriteCause(w, r, reason, nil)
}

// WriteCause is Write with the error behind the refusal: it goes to the exchange's outcome, never to the client. nil: none.
func WriteCause(w http.ResponseWriter, r *http.Request, reason Reason, cause error) {
	x := exchange.From(r.Context())
	if x != nil {
		x.Refusal = reason.Code()
	}
	b := &plain[reason]
	if wantsJSON(r.Header["Accept"]) {
		b = &problem[reason]
	}
	h := w.Header()
	status, call := reason.Status(), isGRPC(r.Header["Content-Type"])
	if call {
		status = http.StatusOK
		trailersOnly(h, reason)
	} else {
		h.Set("Content-Type", b.contentType)
		h.Set("Content-Length", b.length)
	}
	h.Set("Cache-Control", "no-store")
	if x != nil && x.RequestID != "" {
		h.Set("X-Request-Id", x.RequestID)
	}
	w.WriteHeader(status)
	if x != nil {
		x.Status = reason.Status() // also for a gRPC call, whose 200 would say nothing
		x.Settle(exchange.Outcome{Failed: reason.Party(), Reason: reason.Code(), Err: cause})
	}
	if r.Method != http.MethodHead && !call {
		_, _ = w.Write(b.bytes) // the client may be gone; its connection ends then anyway
	}
}

// wantsJSON reports whether an Accept value names application/json or application/problem+json with a weight above zero
// (RFC 9110 §12.5.1).
func wantsJSON(accept []string) bool {
	for _, value := range accept {
		for value != "" {
			var item string
			item, value, _ = strings.Cut(value, ",")
			media, params, _ := strings.Cut(item, ";")
			media = strings.TrimSpace(media)
			if (strings.EqualFold(media, "application/json") || strings.EqualFold(media, "application/problem+json")) &&
				!zeroWeight(params) {
				return true
			}
		}
	}
	return false
}

// zeroWeight reports whether the parameters of a media range hold q=0, which refuses it.
func zeroWeight(params string) bool {
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, weight, ok := strings.Cut(strings.TrimSpace(param), "=")
		if ok && strings.EqualFold(name, "q") {
			return strings.Trim(weight, "0.") == ""
		}
	}
	return false
}
