package grammar

// common are field names that many messages have, in canonical form, by length.
var common = func() (byLength [28][]string) {
	for _, name := range []string{
		"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Access-Control-Allow-Origin", "Age", "Authorization",
		"Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
		"Content-Security-Policy", "Content-Type", "Cookie", "Date", "Etag", "Expect", "Expires", "Host", "If-Modified-Since", "If-None-Match",
		"Keep-Alive", "Last-Modified", "Link", "Location", "Origin", "Pragma", "Range", "Referer", "Retry-After", "Server", "Set-Cookie",
		"Strict-Transport-Security", "Te", "Traceparent", "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via", "Www-Authenticate",
		"X-Api-Key", "X-Content-Type-Options", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Frame-Options", "X-Powered-By",
		"X-Request-Id",
	} {
		byLength[len(name)] = append(byLength[len(name)], name)
	}
	return byLength
}()

// CommonName returns a field name in canonical form without a copy if it is a common one, else "": a map key made of it does not hold the
// whole head that it came with.
func CommonName(name []byte) string {
	if len(name) >= len(common) {
		return ""
	}
	for _, known := range common[len(name)] {
		if known == string(name) {
			return known
		}
	}
	return ""
}
