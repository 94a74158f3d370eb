package wire

import (
	"fmt"
	"net/http"
)

// Violation is why a request is not let in. It is an error; its text is for the log, not for the client.
type Violation struct {
	Status int    // 400 to 599; 204 in AnswerOptions alone
	Code   string // stable, one of Codes; "" in AnswerOptions alone
	Detail string // what is wrong, quoting what the client sent, shortened
}

// Error returns code and detail.
func (v *Violation) Error() string { return v.Code + ": " + v.Detail }

// AnswerOptions is what CheckRequest returns for OPTIONS *: no refusal, the gateway answers 204 by itself. Compare with ==.
var AnswerOptions = &Violation{Status: http.StatusNoContent, Detail: "OPTIONS * is answered by the gateway"}

// kind is a row of the table of violations: a stable code and its status.
type kind struct {
	code   string
	status int
}

var (
	badRequest          = kind{"bad_request", http.StatusBadRequest}
	badContentLength    = kind{"bad_content_length", http.StatusBadRequest}
	badHost             = kind{"bad_host", http.StatusBadRequest}
	badPathEscape       = kind{"bad_path_escape", http.StatusBadRequest}
	methodNotAllowed    = kind{"method_not_allowed", http.StatusMethodNotAllowed}
	uriTooLong          = kind{"uri_too_long", http.StatusRequestURITooLong}
	expectationFailed   = kind{"expectation_failed", http.StatusExpectationFailed}
	headerTooLarge      = kind{"header_too_large", http.StatusRequestHeaderFieldsTooLarge}
	notImplemented      = kind{"not_implemented", http.StatusNotImplemented}
	versionNotSupported = kind{"version_not_supported", http.StatusHTTPVersionNotSupported}
)

var kinds = [...]kind{
	badRequest, badContentLength, badHost, badPathEscape, methodNotAllowed, uriTooLong, expectationFailed, headerTooLarge,
	notImplemented, versionNotSupported,
}

// Codes returns the code of every violation. The caller owns the slice.
func Codes() []string {
	codes := make([]string, 0, len(kinds))
	for _, k := range kinds {
		codes = append(codes, k.code)
	}
	return codes
}

func (k kind) because(format string, args ...any) *Violation {
	return &Violation{Status: k.status, Code: k.code, Detail: fmt.Sprintf(format, args...)}
}

// quoted is how much of what a client sent is repeated in a detail, in bytes.
const quoted = 64

// short cuts s for a detail.
func short(s string) string {
	if len(s) > quoted {
		return s[:quoted] + "…"
	}
	return s
}
