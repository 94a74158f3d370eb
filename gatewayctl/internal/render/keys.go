package render

import (
	"fmt"
	"io"
	"strings"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// maxServices is the number of services that a row of the table of keys names.
const maxServices = 3

// Key is a key in JSON.
type Key struct {
	// ID is that of the newest secret.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Source is "file" or "store".
	Source string `json:"source"`
	// Services is null for a key that admits all, empty for one that admits none.
	Services []string `json:"services"`
	// ExpiresAt is when its last secret ends; null: never.
	ExpiresAt instant `json:"expires_at"`
	// CreatedAt is when its oldest secret was made.
	CreatedAt instant `json:"created_at"`
	// LastUsedAt is the newest use of any of its secrets, to the minute.
	LastUsedAt instant  `json:"last_used_at"`
	Secrets    []Secret `json:"secrets"`
}

// Secret is one secret of a key in JSON.
type Secret struct {
	ID         string  `json:"id"`
	CreatedAt  instant `json:"created_at"`
	ExpiresAt  instant `json:"expires_at"`
	LastUsedAt instant `json:"last_used_at"`
}

// NewKey converts a key for JSON.
func NewKey(k *gatewayv1.KeyInfo) Key {
	key := Key{ID: k.GetId(), Name: k.GetName(), Source: source(k), Secrets: []Secret{}}
	if k.GetOnly() {
		key.Services = append([]string{}, k.GetServices()...)
	}
	forever := false
	for _, s := range k.GetSecrets() {
		secret := Secret{s.GetId(), instant(s.GetCreatedAtMs()), instant(s.GetExpiresAtMs()), instant(s.GetLastUsedAtMs())}
		key.Secrets = append(key.Secrets, secret)
		forever = forever || secret.ExpiresAt == 0
		key.ExpiresAt = max(key.ExpiresAt, secret.ExpiresAt)
		key.LastUsedAt = max(key.LastUsedAt, secret.LastUsedAt)
		if key.CreatedAt == 0 || secret.CreatedAt != 0 && secret.CreatedAt < key.CreatedAt {
			key.CreatedAt = secret.CreatedAt
		}
	}
	if forever {
		key.ExpiresAt = 0
	}
	return key
}

func source(k *gatewayv1.KeyInfo) string {
	if k.GetFromFile() {
		return "file"
	}
	return "store"
}

// KeyTable writes the table of keys page by page: its memory is that of a page.
type KeyTable struct {
	w     io.Writer
	style Style
	table *table
	count int
}

// NewKeyTable returns a table that goes to w. Call Close at its end.
func NewKeyTable(w io.Writer, s Style) *KeyTable {
	header := newTable(s, "NAME", "ID", "SOURCE", "SERVICES", "CREATED", "EXPIRES", "LAST USED")
	return &KeyTable{w: w, style: s, table: header}
}

// Page writes the rows of some keys.
func (t *KeyTable) Page(keys []*gatewayv1.KeyInfo) error {
	for _, k := range keys {
		key := NewKey(k)
		t.table.row(text(key.Name), text(key.ID), text(key.Source), text(admits(k, maxServices)),
			text(t.style.ago(int64(key.CreatedAt))), t.style.expiry(int64(key.ExpiresAt)),
			text(t.style.ago(int64(key.LastUsedAt))))
	}
	if t.count += len(keys); t.count == 0 {
		return nil
	}
	return t.table.flush(t.w)
}

// Close says so if there was no key at all.
func (t *KeyTable) Close() error {
	if t.count > 0 {
		return nil
	}
	_, err := fmt.Fprintln(t.w, "no keys")
	return err
}

// KeyDetails writes everything about one key.
func KeyDetails(w io.Writer, s Style, k *gatewayv1.KeyInfo) error {
	p := &printer{w: w}
	p.linef("name      %s", Clean(k.GetName()))
	p.linef("source    %s", source(k))
	p.linef("services  %s", Clean(admits(k, len(k.GetServices()))))
	p.linef("")
	if p.err != nil {
		return p.err
	}
	t := newTable(s, "SECRET", "CREATED", "EXPIRES", "LAST USED")
	for _, secret := range k.GetSecrets() {
		t.row(text(secret.GetId()), text(s.ago(secret.GetCreatedAtMs())), s.expiry(secret.GetExpiresAtMs()),
			text(s.ago(secret.GetLastUsedAtMs())))
	}
	return t.flush(w)
}

// admits names at most limit of the services that a key admits.
func admits(k *gatewayv1.KeyInfo, limit int) string {
	services := k.GetServices()
	switch {
	case !k.GetOnly():
		return "all"
	case len(services) == 0:
		return "none"
	case len(services) > limit:
		return fmt.Sprintf("%s and %d more", strings.Join(services[:limit], ","), len(services)-limit)
	default:
		return strings.Join(services, ",")
	}
}

func (s Style) expiry(ms int64) cell {
	if ms == 0 {
		return text("never")
	}
	if ms <= s.Now.UnixMilli() {
		return cell{"expired " + s.ago(ms), red}
	}
	return text(s.until(ms, ""))
}
