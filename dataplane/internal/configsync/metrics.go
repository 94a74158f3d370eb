package configsync

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// metrics of the stream and the cache.
type metrics struct {
	connected   prometheus.Gauge
	revision    *prometheus.GaugeVec
	rejected    prometheus.Counter
	drift       *prometheus.CounterVec
	cacheErrors prometheus.Counter
	unsaved     *prometheus.GaugeVec
	unusable    prometheus.Gauge
}

// newMetrics registers with reg, which may be nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_sync_connected", Help: "Whether a control plane is connected.",
		}),
		revision: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_sync_revision", Help: "Revision of a part that is being served, 0 while there is none.",
		}, []string{"part"}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_sync_rejected_total", Help: "Revisions that could not be served; the earlier one went on.",
		}),
		drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_sync_drift_total", Help: "Times that a part contradicted its digest and was asked for whole.",
		}, []string{"part"}),
		cacheErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_cache_errors_total", Help: "Reads and writes of the cache that failed.",
		}),
		unsaved: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_cache_unsaved", Help: "1 while the last change of a part is not in the cache and would not survive a restart without control plane.",
		}, []string{"part"}),
		unusable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_keys_unusable", Help: "Key entries that were sent and cannot be used.",
		}),
	}
	for _, part := range []gatewayv1.Part{gatewayv1.Part_PART_CONFIG, gatewayv1.Part_PART_KEYS} {
		m.drift.WithLabelValues(partLabel(part))
		m.revision.WithLabelValues(partLabel(part))
		m.unsaved.WithLabelValues(partLabel(part))
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.connected, m.revision, m.rejected, m.drift, m.cacheErrors, m.unsaved, m.unusable} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func partLabel(id gatewayv1.Part) string {
	if id == gatewayv1.Part_PART_KEYS {
		return "keys"
	}
	return "config"
}
