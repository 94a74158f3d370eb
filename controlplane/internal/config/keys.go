package config

import (
	"encoding/hex"
	"strings"

	"gopkg.in/yaml.v3"

	"apigateway/proto/apikey"
)

// No message of this file quotes a value: it may be a secret, in the wrong place or mistyped.

// secretKey is a key while it is read.
type secretKey struct {
	Key
	sources int // how many of key and sha256 were given, with or without a mistake
}

var keySettings = object[secretKey]{
	{name: "name", decode: decodeKeyName},
	{name: "key", decode: decodePlainKey},
	{name: "sha256", decode: decodeKeyHash},
}

func decodeKeys(d *decoder, p *place, c *Config) {
	if !d.expect(p, yaml.SequenceNode, "a list of keys") {
		return
	}
	for i := range p.node.Content {
		item := p.item(i)
		k := secretKey{Key: Key{Line: item.node.Line, Column: item.node.Column}}
		before := len(d.mistakes)
		if item.node.Kind == yaml.MappingNode {
			keySettings.decodeSecret(d, item, &k, true)
			if k.sources != 1 && len(d.mistakes) == before {
				d.mistake(item, "got %d of key and sha256 (want one of them)", k.sources)
			}
		} else {
			decodePlainKey(d, item, &k)
		}
		if len(d.mistakes) > before {
			continue
		}
		if k.Name == "" {
			k.Name = apikey.FileName(k.Hash)
		}
		c.Keys = append(c.Keys, k.Key)
		d.keys = append(d.keys, item)
	}
}

func decodeKeyName(d *decoder, p *place, k *secretKey) {
	if !d.expect(p, yaml.ScalarNode, itemName().want) {
		return
	}
	if p.node.ShortTag() != "!!str" || apikey.ValidName(p.node.Value) != nil {
		d.mistake(p, "not a name, got %s of %d characters (want %s)", typeName(p.node), len(p.node.Value), itemName().want)
		return
	}
	k.Name = p.node.Value
}

// decodePlainKey hashes the secret; only the tree holds it, until Parse returns.
func decodePlainKey(d *decoder, p *place, k *secretKey) {
	k.sources++
	const want = "text in quotes, or {name, key} or {name, sha256}"
	if !d.expect(p, yaml.ScalarNode, want) {
		return
	}
	if p.node.ShortTag() != "!!str" {
		d.mistake(p, "not text, got %s (want %s)", typeName(p.node), want)
		return
	}
	secret := p.node.Value
	if err := apikey.ValidSecret(secret); err != nil {
		d.mistake(p, "%v", err)
		return
	}
	if _, err := apikey.Parse(secret); err != nil && strings.HasPrefix(secret, "gk_") {
		d.warn(p, "begins like a made key, but is none: %v", err)
	}
	k.Hash = apikey.Hash(secret)
	k.SecretID = apikey.SecretID(secret)
}

func decodeKeyHash(d *decoder, p *place, k *secretKey) {
	k.sources++
	const want = "64 hex digits in quotes"
	if !d.expect(p, yaml.ScalarNode, want) {
		return
	}
	hash, err := hex.DecodeString(p.node.Value)
	if p.node.ShortTag() != "!!str" || err != nil || len(hash) != len(k.Hash) {
		d.mistake(p, "not a SHA-256, got %s of %d characters (want %s)", typeName(p.node), len(p.node.Value), want)
		return
	}
	k.Hash = [32]byte(hash)
	k.SecretID = apikey.HashID(k.Hash)
}

// checkKeys finds keys that are there twice.
func (d *decoder) checkKeys(c *Config) {
	names := make(map[string]int, len(c.Keys))
	hashes := make(map[[32]byte]int, len(c.Keys))
	for i := range c.Keys {
		k := &c.Keys[i]
		if first, taken := hashes[k.Hash]; taken {
			d.mistake(d.keys[i], "same key as %v on line %d (want each once)", d.keys[first], c.Keys[first].Line)
			continue
		}
		hashes[k.Hash] = i
		if first, taken := names[k.Name]; taken {
			d.mistake(d.keys[i], "same name as %v on line %d, got %q (want one of its own)", d.keys[first], c.Keys[first].Line, k.Name)
			continue
		}
		names[k.Name] = i
	}
}
