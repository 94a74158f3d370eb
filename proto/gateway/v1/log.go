package gatewayv1

import "log/slog"

// LogValue is the part in logs: config or keys, as in metrics.
func (x Part) LogValue() slog.Value {
	switch x {
	case Part_PART_CONFIG:
		return slog.StringValue("config")
	case Part_PART_KEYS:
		return slog.StringValue("keys")
	default:
		return slog.StringValue(x.String())
	}
}
