package config

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	gatewayv1 "apigateway/proto/gateway/v1"
	"apigateway/proto/pattern"
)

var (
	serviceCount = span{1, gatewayv1.MaxServices}
	urlCount     = span{1, 256}
)

// urlForm is how the URL of a backend begins: its scheme says which protocol it is spoken to in.
const urlForm = "http:// or https://, for HTTP/2 h2c:// or h2://"

// schemes are those of urlForm.
var schemes = []string{"http", "https", "h2c", "h2"}

// maxURL bounds a URL in bytes, and with urlCount a service on the wire.
const maxURL = 2048

func decodeServices(d *decoder, p *place, c *Config) {
	var fallback Service
	serviceSettings.reset(&fallback)
	fallback.MaxBody = c.MaxBody
	fallback.FirstByteTimeout = c.Transport.FirstByteTimeout
	d.items(p, serviceCount, func(item *place) {
		s := fallback
		s.Line = item.node.Line
		serviceSettings.decode(d, item, &s)
		c.Services = append(c.Services, s)
		d.services = append(d.services, item)
	})
}

func decodePattern(d *decoder, p *place, s *Service) {
	text, ok := kind[string]{"a pattern", `text such as "/users"`, textTags, func(text string) (string, error) { return text, nil }}.decode(d, p)
	if !ok {
		return
	}
	if _, err := pattern.Parse(text); err != nil {
		d.mistake(p, "%v", err)
		return
	}
	s.RoutePattern = text
}

func decodeURLs(d *decoder, p *place, s *Service) {
	d.items(p, urlCount, func(item *place) {
		text, ok := backend.decode(d, item)
		if !ok {
			return
		}
		if i := slices.Index(s.URLs, text); i >= 0 {
			d.mistake(item, "same URL twice, got %s (want each once)", got(item.node))
			return
		}
		s.URLs = append(s.URLs, text)
	})
}

// backend is the URL of a backend.
var backend = kind[string]{"an absolute URL", urlForm, textTags, func(text string) (string, error) {
	return text, checkURL(text)
}}

func checkURL(text string) error {
	scheme, _, absolute := strings.Cut(text, "://")
	if !absolute {
		return errForm
	}
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return errors.New("URL too long")
	case !slices.Contains(schemes, strings.ToLower(scheme)):
		return errors.New("unknown scheme")
	case err != nil:
		return errors.New("not a URL")
	case u.User != nil:
		return errors.New("user in the URL")
	case u.ForceQuery || u.RawQuery != "" || strings.Contains(text, "#"):
		return errors.New("query or fragment in the URL")
	}
	return checkHost(u)
}

func checkHost(u *url.URL) error {
	if u.Hostname() == "" {
		return errors.New("no host")
	}
	if strings.HasSuffix(u.Host, ":") {
		return errors.New("no port behind the colon")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("port out of range")
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return errors.New("dot segment in the path")
		}
	}
	return nil
}

// checkServices looks at what no service can be wrong in alone.
func (d *decoder) checkServices(c *Config) {
	names := make(map[string]int, len(c.Services))
	patterns := make(map[string]int, len(c.Services))
	for i := range c.Services {
		s := &c.Services[i]
		if first, taken := names[s.Name]; taken && s.Name != "" {
			d.mistake(d.services[i].child("name"), "same name as %v on line %d, got %q (want one of its own)",
				d.services[first], c.Services[first].Line, s.Name)
		} else {
			names[s.Name] = i
		}
		parsed, err := pattern.Parse(s.RoutePattern)
		if err != nil {
			continue // reported where it was read
		}
		key := parsed.Key()
		if first, taken := patterns[key]; taken {
			d.mistake(d.services[i].child("route_pattern"), "takes the same requests as %v on line %d, got %q and %q (want one more specific)",
				d.services[first], c.Services[first].Line, s.RoutePattern, c.Services[first].RoutePattern)
		} else {
			patterns[key] = i
		}
	}
	d.checkMiddleware(c)
}
