package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// allocations divides what the data plane's runtime counts by the requests. What a look at the count allocates is known from the
// look before, and left out.
func allocations(ctx context.Context, b *bed, t *target, lasting time.Duration) (sample, error) {
	var counts [3]float64
	for i := range 2 {
		count, err := mallocs(ctx, t)
		if err != nil {
			return sample{}, err
		}
		counts[i] = count
	}
	s, err := load(ctx, b, t, lasting)
	if err != nil {
		return sample{}, err
	}
	if counts[2], err = mallocs(ctx, t); err != nil {
		return sample{}, err
	}
	look := counts[1] - counts[0]
	s.each = (counts[2] - counts[1] - look) / float64(s.requests)
	return s, nil
}

// mallocs is how many objects the data plane has allocated.
func mallocs(ctx context.Context, t *target) (float64, error) {
	const name = "go_memstats_mallocs_total "
	page, err := fetch(ctx, "http://"+t.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("metrics: no %s(want a line of it)", name)
}

// fetch returns the page at a URL.
func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: got %s (want 200)", url, resp.Status)
	}
	return string(text), err
}
