package wire

import (
	"encoding/base64"
	"net/http"
)

// WebSocket reports whether a request asks for a tunnel, and whether it may have one (RFC 6455 section 4.2.1). It asks if
// it is a GET on HTTP/1.1 whose Upgrade lists websocket and whose Connection lists upgrade. Any other Upgrade, h2c among
// them, asks for nothing, as a server may ignore it (RFC 9110 section 7.8), and OutboundRequest strips it. A request that
// asks but has a body, or no single valid key and version 13, is a violation.
func WebSocket(r *http.Request) (asked bool, v *Violation) {
	upgrade := r.Header["Upgrade"]
	if len(upgrade) == 0 || r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1 ||
		!lists(upgrade, "websocket") || !lists(r.Header["Connection"], "upgrade") {
		return false, nil
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 || len(r.Header["Transfer-Encoding"]) > 0 {
		return true, badRequest.because("upgrade to websocket with a body")
	}
	if version := r.Header["Sec-Websocket-Version"]; len(version) != 1 || version[0] != "13" {
		return true, badRequest.because("not a single websocket version 13")
	}
	key := r.Header["Sec-Websocket-Key"]
	if len(key) != 1 || !isNonce(key[0]) {
		return true, badRequest.because("not a single valid websocket key")
	}
	return true, nil
}

// isNonce reports whether s is 16 bytes in base64.
func isNonce(s string) bool {
	var decoded [18]byte
	if len(s) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Strict().Decode(decoded[:], []byte(s))
	return err == nil && n == 16
}
