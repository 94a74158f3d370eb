package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines of the README between which the table of settings stands.
const (
	tableBegins = "<!-- settings: go test ./controlplane/internal/config -update -->\n"
	tableEnds   = "<!-- /settings -->\n"
)

func TestReadmeTable(t *testing.T) {
	const file = "../../../README.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	got, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s: want %q and %q around the table of settings", file, tableBegins, tableEnds)
	}
	if *update {
		whole := before + tableBegins + Table() + tableEnds + after
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(Table(), got); diff != "" {
		t.Errorf("%s: the table of settings differs, run go test -update (-want +got):\n%s", file, diff)
	}
}
