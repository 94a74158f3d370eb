package main

import (
	"fmt"
	"math"
	"slices"
)

// median of a sample; of an even number the mean of the two in the middle. Nothing has none: NaN.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// percentile is the smallest value that at least p percent of the sample do not exceed (nearest rank). Nothing has none: NaN.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// interval is an estimate and where it lies with 95 % confidence. One pair has no interval: low and high are NaN.
type interval struct{ middle, low, high float64 }

func (i interval) String() string {
	if math.IsNaN(i.low) {
		return fmt.Sprintf("%.2f (one round)", i.middle)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", i.middle, i.low, i.high)
}

// ratio is the geometric mean of ours[i]/theirs[i] with Student's t interval on the logarithms. Both have the same length and
// hold positive numbers.
func ratio(ours, theirs []float64) interval {
	n := float64(len(ours))
	logs := make([]float64, len(ours))
	mean := 0.0
	for i := range ours {
		logs[i] = math.Log(ours[i] / theirs[i])
		mean += logs[i] / n
	}
	squares := 0.0
	for _, l := range logs {
		squares += (l - mean) * (l - mean)
	}
	spread := math.NaN()
	if len(ours) > 1 {
		spread = student(len(ours)-1) * math.Sqrt(squares/(n-1)/n)
	}
	return interval{math.Exp(mean), math.Exp(mean - spread), math.Exp(mean + spread)}
}

// quantiles are those of Student's t at 97.5 %, from one degree of freedom on.
var quantiles = []float64{
	12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
	2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
}

// student is the quantile for that many degrees of freedom, 1 or more; beyond the table its last, which is wider than it need be.
func student(freedom int) float64 { return quantiles[min(freedom, len(quantiles))-1] }
