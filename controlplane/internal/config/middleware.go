package config

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"apigateway/proto/apikey"
)

// builtin names the middleware that every data plane has.
var builtin = []string{authAPIKey, rateLimit, "circuit_breaker", "metrics"}

const (
	authAPIKey = "auth_apikey"
	rateLimit  = "rate_limit"

	maxJSON  = 256 << 10 // bytes of all MiddlewareConfig: the settings travel as one message
	maxDepth = 32        // of a mapping that is kept as JSON
)

func decodeMiddlewareConfig(d *decoder, p *place, c *Config) {
	size := 0
	d.fields(p, false, func(key *yaml.Node, value *place) {
		switch name := key.Value; {
		case name == authAPIKey:
			apiKeySettings.decodeSecret(d, value, c, true)
		case slices.Contains(builtin, name):
			d.mistake(value, "built in and configured in each service (want auth_apikey or a name of your own)")
		case apikey.ValidName(name) != nil:
			d.mistake(value, "not a name (want %s)", itemName().want)
		case d.expect(value, yaml.MappingNode, "a mapping, {} if there is nothing to set"):
			raw, err := json.Marshal(d.jsonValue(value, 0))
			if size += len(raw); err != nil || size > maxJSON {
				d.mistake(value, "too large, got %d bytes as JSON with those before it (want at most %d)", size, maxJSON)
				return
			}
			c.Middleware = append(c.Middleware, MiddlewareConfig{Name: name, JSON: raw})
		}
	})
	slices.SortFunc(c.Middleware, func(a, b MiddlewareConfig) int { return cmp.Compare(a.Name, b.Name) })
}

// jsonValue turns any value of the file into what encoding/json writes. Numbers keep their digits.
func (d *decoder) jsonValue(p *place, depth int) any {
	if depth > maxDepth {
		d.mistake(p, "nested too deeply (want at most %d levels)", maxDepth)
		return nil
	}
	switch p.node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		d.fields(p, false, func(key *yaml.Node, value *place) { m[key.Value] = d.jsonValue(value, depth+1) })
		return m
	case yaml.SequenceNode:
		l := []any{}
		d.items(p, span{0, math.MaxInt}, func(item *place) { l = append(l, d.jsonValue(item, depth+1)) })
		return l
	}
	if !d.expect(p, yaml.ScalarNode, "a value") {
		return nil
	}
	return d.jsonScalar(p)
}

func (d *decoder) jsonScalar(p *place) any {
	text := p.node.Value
	switch p.node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(text, "true")
	case "!!int", "!!float":
		if !json.Valid([]byte(text)) {
			d.mistake(p, "not a decimal number, got %s (want digits as in JSON, or quotes)", got(p.node))
			return nil
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			d.mistake(p, "out of range, got %s (want what a 64-bit float holds)", got(p.node))
			return nil
		}
		return json.Number(text)
	}
	return text
}

func decodeMiddleware(d *decoder, p *place, s *Service) {
	d.items(p, span{0, 64}, func(item *place) {
		name, ok := itemName().decode(d, item)
		switch {
		case !ok:
		case slices.Contains(s.Middleware, name):
			d.mistake(item, "same middleware twice, got %q (want each once)", name)
		default:
			s.Middleware = append(s.Middleware, name)
		}
	})
}

// checkMiddleware finds names that no data plane can know.
func (d *decoder) checkMiddleware(c *Config) {
	known := slices.Clone(builtin)
	for _, m := range c.Middleware {
		known = append(known, m.Name)
	}
	for i := range c.Services {
		if !slices.ContainsFunc(c.Services[i].Middleware, func(name string) bool { return !slices.Contains(known, name) }) {
			continue
		}
		list := d.services[i].child("middleware")
		for j := range list.node.Content {
			if item := list.item(j); item.node.ShortTag() == "!!str" && !slices.Contains(known, item.node.Value) {
				d.unknownMiddleware(item, known)
			}
		}
	}
}

func (d *decoder) unknownMiddleware(item *place, known []string) {
	name := item.node.Value
	if apikey.ValidName(name) != nil {
		return // reported where it was read
	}
	if near := suggest(name, known); near != "" {
		d.mistake(item, "unknown middleware, got %q, did you mean %s?", name, near)
		return
	}
	d.mistake(item, "unknown middleware, got %q (want %s, or a name under middleware_config)", name, strings.Join(known, ", "))
}
