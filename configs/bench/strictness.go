package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"apigateway/configs/conformance"
)

// strictness sends every message of the corpus that has to be taken or has to be refused, the former first: what they need is
// then in working order. What a proxy may decide as it likes is not asked.
func strictness(ctx context.Context, b *bed, t *target, _ time.Duration) (sample, error) {
	var s sample
	for _, class := range []conformance.Class{conformance.Legal, conformance.Malformed} {
		for _, m := range conformance.Requests() {
			if m.Class != class {
				continue
			}
			v, err := ask(ctx, t.address, m, b.reached)
			if err != nil {
				return s, fmt.Errorf("%s: %w", m.Name, err)
			}
			s.requests++
			if !v.wrong(m) {
				continue
			}
			if class == conformance.Legal {
				s.refused = append(s.refused, m.Name)
			} else {
				s.accepted = append(s.accepted, m.Name)
			}
		}
	}
	return s, nil
}

// verdict is what became of a message.
type verdict struct {
	statuses []int  // of the answers, in order, without interim ones
	reached  uint64 // requests that the backend got whole
}

// wrong reports whether a legal request was refused, or a malformed one answered by a 2xx or passed on. A message may begin with
// requests that are legal: as many as are answered and seen when all is well.
func (v verdict) wrong(m conformance.Message) bool {
	good, done := 0, 0
	for status := range strings.FieldsSeq(m.Statuses) {
		if strings.HasPrefix(status, "2") {
			good++
		}
	}
	for _, status := range v.statuses {
		if status/100 == 2 {
			done++
		}
	}
	if m.Class == conformance.Legal {
		return done < good
	}
	return done > good || v.reached > requestsOf(m.Saw)
}

// requestsOf counts what a backend saw.
func requestsOf(saw string) uint64 {
	if saw == "" {
		return 0
	}
	return uint64(strings.Count(saw, "|")) + 1
}

const (
	answerPatience = 2 * time.Second        // for all the answers to a message
	linger         = 100 * time.Millisecond // for one more than there should be
)

// ask sends a message over a connection of its own. A connection that the proxy ends, resets or leaves without answer is no error.
// Nobody else may ask meanwhile.
func ask(ctx context.Context, address string, m conformance.Message, reached func() uint64) (verdict, error) {
	var v verdict
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return v, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return v, err
	}
	before := reached()
	_, _ = io.WriteString(conn, m.Send) // it may be refused before its end
	method, _, _ := strings.Cut(m.Send, " ")
	in := bufio.NewReader(conn)
	for want := len(strings.Fields(m.Statuses)); ; {
		status, err := readStatus(in, method)
		if err != nil {
			break
		}
		v.statuses = append(v.statuses, status)
		if len(v.statuses) < want {
			continue
		}
		if m.Class == conformance.Legal {
			break
		}
		if err := conn.SetDeadline(time.Now().Add(linger)); err != nil {
			return v, err
		}
	}
	v.reached = reached() - before
	return v, ctx.Err()
}

// readStatus reads an answer whole, and the interim ones before it.
func readStatus(in *bufio.Reader, method string) (int, error) {
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if resp.StatusCode >= http.StatusOK {
			return resp.StatusCode, nil
		}
	}
}

// checkOpen returns an error unless a proxy passes requests without a key.
func checkOpen(ctx context.Context, _ *bed, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base, http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("check: GET %s: got %s (want 200)", base, resp.Status))
	}
	return nil
}

func malformedAccepted(r result, i int) string {
	return fmt.Sprintf("%d of %d", len(r.samples[i][0].accepted), countClass(conformance.Malformed))
}

func legalRefused(r result, i int) string {
	return fmt.Sprintf("%d of %d", len(r.samples[i][0].refused), countClass(conformance.Legal))
}

func countClass(class conformance.Class) (n int) {
	for _, m := range conformance.Requests() {
		if m.Class == class {
			n++
		}
	}
	return n
}

// misjudgedByName lists what the counts of the table are of.
func misjudgedByName(results []result) string {
	var out strings.Builder
	for _, r := range results {
		for i, name := range r.names {
			for _, kind := range []struct {
				what  string
				names []string
			}{{"accepted", r.samples[i][0].accepted}, {"refused", r.samples[i][0].refused}} {
				if len(kind.names) > 0 {
					fmt.Fprintf(&out, "- %s %s: %s\n", name, kind.what, strings.Join(kind.names, "; "))
				}
			}
		}
	}
	return out.String() + "\n"
}
