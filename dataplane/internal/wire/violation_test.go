package wire_test

import (
	"slices"
	"testing"

	"apigateway/dataplane/internal/refusal"
	"apigateway/dataplane/internal/wire"
)

func TestCodesAreRefusals(t *testing.T) {
	known := refusal.Codes()
	for _, code := range wire.Codes() {
		if !slices.Contains(known, code) {
			t.Errorf("refusal does not know the code %q", code)
		}
	}
}
