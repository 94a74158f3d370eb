package control

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// Metrics of the control plane.
var (
	revisionDesc   = prometheus.NewDesc("controlplane_revision", "Revision of the last change of a part.", []string{"part"}, nil)
	entriesDesc    = prometheus.NewDesc("controlplane_entries", "Entries of a part: settings and services, or keys.", []string{"part"}, nil)
	dataplanesDesc = prometheus.NewDesc("controlplane_dataplanes", "Data planes that are known, by state.", []string{"state"}, nil)
	driftsDesc     = prometheus.NewDesc("controlplane_drifts_total", "Times that a data plane's content differed from what its revision says.", nil, nil)
	reloadsDesc    = prometheus.NewDesc("controlplane_config_reload_failures_total", "Contents of the configuration file that were wrong, or could not be read.", nil, nil)
	errorDesc      = prometheus.NewDesc("controlplane_config_error", "1 while the newest content of the configuration file is not in force.", nil, nil)
)

// planeCollector reads the metrics off the parts when they are asked for.
type planeCollector struct{ *plane }

// Describe implements prometheus.Collector.
func (c *planeCollector) Describe(descs chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descs)
}

// Collect implements prometheus.Collector.
func (c *planeCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	head := c.publisher.State()
	gauge(revisionDesc, float64(head.Config.Revision), "config")
	gauge(revisionDesc, float64(head.Keys.Revision), "keys")
	gauge(entriesDesc, float64(head.Config.Count), "config")
	gauge(entriesDesc, float64(head.Keys.Count), "keys")
	states := make(map[gatewayv1.DataPlaneState]int)
	for _, m := range c.fleet.Members() {
		states[m.Describe(head).GetState()]++
	}
	for number, name := range gatewayv1.DataPlaneState_name {
		if state := gatewayv1.DataPlaneState(number); state != gatewayv1.DataPlaneState_DATA_PLANE_STATE_UNSPECIFIED {
			gauge(dataplanesDesc, float64(states[state]), strings.ToLower(strings.TrimPrefix(name, "DATA_PLANE_STATE_")))
		}
	}
	counter(driftsDesc, c.fleet.Drifts())
	counter(reloadsDesc, c.file.Failures())
	gauge(errorDesc, float64(min(1, len(c.file.Status().GetMistakes()))))
}
