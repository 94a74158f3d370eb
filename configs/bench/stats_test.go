package main

import (
	"math"
	"testing"
)

func TestMedianAndPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	tests := []struct {
		name             string
		values           []float64
		median, p50, p99 float64
	}{
		{"none", nil, math.NaN(), math.NaN(), math.NaN()},
		{"one", []float64{7}, 7, 7, 7},
		{"odd, not in order", []float64{9, 1, 5}, 5, 5, 9},
		{"even", []float64{4, 1, 3, 2}, 2.5, 2, 4},
		{"a hundred", hundred, 50.5, 50, 99},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, c := range []struct {
				name      string
				got, want float64
			}{
				{"median", median(tt.values), tt.median},
				{"p50", percentile(tt.values, 50), tt.p50},
				{"p99", percentile(tt.values, 99), tt.p99},
			} {
				if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
					t.Errorf("%s(%v) = %v, want %v", c.name, tt.values, c.got, c.want)
				}
			}
		})
	}
}

// The wanted intervals were calculated by hand from mean, standard deviation and a printed table of t.
func TestRatio(t *testing.T) {
	tests := []struct {
		name         string
		ours, theirs []float64
		want         string
	}{
		{"one round", []float64{3}, []float64{2}, "1.50 (one round)"},
		{"always twice", []float64{2, 4, 8}, []float64{1, 2, 4}, "2.00 (2.00–2.00)"},
		// logs ln 2 and ln 8: mean ln 4, s = 0.9803, half width 12.706 × 0.9803 ÷ √2 = 8.807
		{"two rounds know little", []float64{2, 8}, []float64{1, 1}, "4.00 (0.00–26726.81)"},
		// logs ±0.0953 twice each: mean 0, s = 0.1101, half width 3.182 × 0.1101 / 2 = 0.1751
		{"round one", []float64{11, 10, 11, 10}, []float64{10, 11, 10, 11}, "1.00 (0.84–1.19)"},
		{"pairs count, not samples", []float64{1, 100}, []float64{2, 200}, "0.50 (0.50–0.50)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ratio(tt.ours, tt.theirs).String(); got != tt.want {
				t.Errorf("ratio(%v, %v) = %s, want %s", tt.ours, tt.theirs, got, tt.want)
			}
		})
	}
}

func TestStudent(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 11: 2.201, 30: 2.042, 31: 2.042, 1000: 2.042} {
		if got := student(freedom); got != want {
			t.Errorf("student(%d) = %v, want %v", freedom, got, want)
		}
	}
}
