package gatewayv1

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestPartInLogs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	log.Info("parts", "a", Part_PART_CONFIG, "b", Part_PART_KEYS, "c", Part_PART_UNSPECIFIED, "d", Part(9))
	if got, want := out.String(), "level=INFO msg=parts a=config b=keys c=PART_UNSPECIFIED d=9\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
}
