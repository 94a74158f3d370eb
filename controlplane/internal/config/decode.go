package config

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"apigateway/proto/apikey"
)

// decoder collects what is wrong while settings are read from a tree. A value with a mistake keeps its default, so that
// one mistake is reported once and everything behind it is still looked at.
type decoder struct {
	file     string
	mistakes Mistakes
	omitted  int // mistakes that were not kept
	warnings Mistakes
	services []*place // of each service in Config.Services
	keys     []*place // of each key in Config.Keys
}

// place is a node and the way to it. The way is written out only when there is something to report.
type place struct {
	parent *place
	node   *yaml.Node
	field  string // name in the parent's mapping
	index  int    // position in the parent's list, when field is ""
}

func (p *place) String() string {
	switch {
	case p == nil || p.parent == nil:
		return ""
	case p.field == "":
		return p.parent.String() + "[" + strconv.Itoa(p.index) + "]"
	case p.parent.parent == nil:
		return fieldName(p.field)
	}
	return p.parent.String() + "." + fieldName(p.field)
}

// fieldName shows a name as it is, or quoted and cut if it could blur a message.
func fieldName(name string) string {
	if apikey.ValidName(name) == nil {
		return name
	}
	return strconv.Quote(cut(name))
}

func cut(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// child returns the place of a field of a mapping, or p itself if it is not there.
func (p *place) child(name string) *place {
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		if p.node.Content[i].Value == name {
			return &place{parent: p, node: p.node.Content[i+1], field: name}
		}
	}
	return p
}

// item returns the place of an item of a list.
func (p *place) item(i int) *place {
	return &place{parent: p, node: p.node.Content[i], index: i}
}

// unnamed returns where key stands in the mapping p, without its name.
func (p *place) unnamed(key *yaml.Node) *place {
	at := *p
	at.node = key
	return &at
}

func (d *decoder) at(p *place, path, message string) Mistake {
	return Mistake{File: d.file, Line: p.node.Line, Column: p.node.Column, Path: path, Message: message}
}

// mistake records a problem with the value at p.
func (d *decoder) mistake(p *place, format string, args ...any) {
	if len(d.mistakes) == maxKept {
		d.omitted++
		return
	}
	d.mistakes = append(d.mistakes, d.at(p, p.String(), fmt.Sprintf(format, args...)))
}

// warn records something legal that is probably not meant.
func (d *decoder) warn(p *place, format string, args ...any) {
	d.warnings = append(d.warnings, d.at(p, p.String(), fmt.Sprintf(format, args...)))
}

// expect reports whether p holds a node of the kind that is wanted, and records a mistake if not. It quotes no value.
func (d *decoder) expect(p *place, kind yaml.Kind, want string) bool {
	switch n := p.node; {
	case n.Kind == yaml.AliasNode:
		d.mistake(p, "alias, got * (want the value itself)")
	case n.Style&yaml.TaggedStyle != 0:
		d.mistake(p, "tag, got %s (want none: the value alone, in quotes if it begins with !)", p.tag())
	case n.Kind != kind:
		d.mistake(p, "wrong type, got %s (want %s)", typeName(n), want)
	default:
		return true
	}
	return false
}

// tag shows the tag at p, unless it may be a key that begins with an exclamation mark, or hold the password of a URL.
func (p *place) tag() string {
	tag := p.node.ShortTag()
	for at := p; at != nil; at = at.parent {
		if at.field == "valid_keys" {
			return "!"
		}
	}
	if i := strings.LastIndexByte(tag, '@'); i >= 0 {
		tag = "!…" + tag[i:]
	}
	return cut(tag)
}

func typeName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// got shows a scalar in a message. What stands before an @ may be the password of a URL.
func got(n *yaml.Node) string {
	text := n.Value
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = "…" + text[i:]
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return strconv.Quote(cut(text))
	}
	return cut(text)
}

// fields calls each for every usable field of the mapping at p, in the order of the file, and reports whether p is a
// mapping. Names of fields are shown in messages unless secret says that one might have been put there.
func (d *decoder) fields(p *place, secret bool, each func(key *yaml.Node, value *place)) bool {
	if !d.expect(p, yaml.MappingNode, "a mapping") {
		return false
	}
	lines := make(map[string]int, len(p.node.Content)/2)
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key := p.node.Content[i]
		at := &place{parent: p, node: key, field: key.Value}
		if secret || key.Kind != yaml.ScalarNode {
			at = p.unnamed(key)
		}
		switch {
		case key.Tag == "!!merge":
			d.mistake(at, "merge key (want the fields themselves)")
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || key.ShortTag() != "!!str":
			d.mistake(p.unnamed(key), "name of a field is not text (quote it)")
		case lines[key.Value] != 0:
			d.mistake(at, "given twice, first on line %d", lines[key.Value])
		default:
			lines[key.Value] = key.Line
			each(key, &place{parent: p, node: p.node.Content[i+1], field: key.Value})
		}
	}
	return true
}

// items calls each for every item of the list at p, if it is one of as many items as the limit says.
func (d *decoder) items(p *place, limit span, each func(item *place)) {
	if !d.expect(p, yaml.SequenceNode, "a list") {
		return
	}
	if n := len(p.node.Content); !limit.has(n) {
		d.mistake(p, "wrong number of items, got %d (want %s)", n, limit)
		return
	}
	for i := range p.node.Content {
		each(p.item(i))
	}
}

// span is how many items a list may have.
type span struct{ min, max int }

func (s span) has(n int) bool { return s.min <= n && n <= s.max }

func (s span) String() string { return fmt.Sprintf("%d to %d", s.min, s.max) }

// unknown records a field that the mapping at p has no setting for. Its name is shown only if it resembles a known one
// or cannot be a secret.
func (d *decoder) unknown(p *place, key *yaml.Node, known []string, secret bool) {
	at := &place{parent: p, node: key, field: key.Value}
	if near := suggest(key.Value, known); near != "" {
		d.mistake(at, "unknown field, did you mean %s?", near)
		return
	}
	if secret {
		at = p.unnamed(key)
	}
	d.mistake(at, "unknown field (want %s)", strings.Join(known, ", "))
}
