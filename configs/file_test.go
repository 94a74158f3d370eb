package configs

import (
	"fmt"
	"strings"
)

// fileKey is a key that configuration declares, under the name tester.
const fileKey = "plain-key-of-the-file"

// unlimited are settings that let every request of a test through rate_limit.
const unlimited = "rate_limit_rps: 1000000, rate_limit_burst: 1000000"

// configuration is a file with services.
func configuration(services ...string) string {
	return "middleware_config:\n  auth_apikey: {valid_keys: [{name: tester, key: " + fileKey + "}]}\nservices:\n" + strings.Join(services, "")
}

// service is one line of a file: a service on /name with its chain, its backends, and settings as in "a: 1, b: 2".
func service(name, chain, settings string, backends ...*backend) string {
	urls := make([]string, len(backends))
	for i, b := range backends {
		urls[i] = b.url()
	}
	if settings != "" {
		settings = ", " + settings
	}
	return fmt.Sprintf("  - {name: %s, route_pattern: /%s, urls: [%s], middleware: [%s]%s}\n", name, name, strings.Join(urls, ", "), chain, settings)
}
