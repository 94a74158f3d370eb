package config

import (
	"fmt"
	"slices"
	"strings"
)

// Setting describes one setting to people.
type Setting struct {
	Name    string // with dots, as transport.max_idle
	Scope   string // "global" or "service"
	Default string // as written in the file, in backquotes, or words; "required"
	Range   string
	Meaning string
}

// Settings lists everything that a file may hold, global settings first.
func Settings() []Setting {
	return append(scoped("global", globalSettings.describe()), scoped("service", serviceSettings.describe())...)
}

// Table returns Settings as the Markdown table of the README.
func Table() string {
	var b strings.Builder
	b.WriteString("| setting | scope | default | range | meaning |\n|---|---|---|---|---|\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, s.Scope, s.Default, s.Range, s.Meaning)
	}
	return b.String()
}

func scoped(scope string, rows []Setting) []Setting {
	for i := range rows {
		rows[i].Scope = scope
	}
	return rows
}

func prefixed(prefix string, rows []Setting) []Setting {
	rows = slices.Clone(rows)
	for i := range rows {
		if !strings.HasPrefix(rows[i].Name, "[") { // of a list
			rows[i].Name = "." + rows[i].Name
		}
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

func middlewareRows() []Setting {
	return append(prefixed("auth_apikey", apiKeySettings.describe()), Setting{
		Name: "<name>", Default: "none", Range: "any mapping",
		Meaning: "settings of a middleware of your own; makes its name known",
	})
}

// describe returns one row for each setting, inner ones with the name of the outer in front.
func (o object[T]) describe() []Setting {
	var rows []Setting
	for _, s := range o {
		if s.nested != nil {
			rows = append(rows, prefixed(s.name, s.nested)...)
			continue
		}
		row := Setting{Name: s.name, Default: s.note, Range: s.want, Meaning: s.meaning}
		if s.fallback != "" {
			row.Default = "`" + s.fallback + "`"
		}
		if s.required {
			row.Default = "required"
		}
		rows = append(rows, row)
	}
	return rows
}
