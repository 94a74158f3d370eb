package configs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// answer is a response as a client sees it.
type answer struct {
	status int
	body   string
	header http.Header
}

// try asks for a path with an API key, or none.
func (f *fleet) try(address, path, key string) (answer, error) {
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		req.Header.Set("X-API-KEY", key)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header}, err
}

// get is try with an answer.
func (f *fleet) get(p *plane, path, key string) answer {
	f.t.Helper()
	a, err := f.try(p.public, path, key)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// expect checks status and body of an answer; an empty body is not looked at.
func (f *fleet) expect(p *plane, path, key string, want answer) answer {
	f.t.Helper()
	got := f.get(p, path, key)
	if got.status != want.status || want.body != "" && got.body != want.body {
		f.t.Errorf("%s on %s = %d %q, want %d %q", path, p.name, got.status, got.body, want.status, want.body)
	}
	return got
}

// metrics reads the series of a plane, as name{label="value",…} with the labels in order.
func (f *fleet) metrics(p *plane) map[string]float64 {
	f.t.Helper()
	page, err := f.try(p.admin, "/metrics", "")
	if err != nil {
		f.t.Fatal(err)
	}
	return parseMetrics(page.body)
}

func parseMetrics(page string) map[string]float64 {
	series := make(map[string]float64)
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		if value, err := strconv.ParseFloat(line[space+1:], 64); err == nil {
			series[line[:space]] = value
		}
	}
	return series
}

// all receives a stream of pages to its end.
func all[M, E any](stream grpc.ServerStreamingClient[M], err error, entries func(*M) []E) ([]E, error) {
	var list []E
	for err == nil {
		var page *M
		if page, err = stream.Recv(); err == nil {
			list = append(list, entries(page)...)
		}
	}
	if errors.Is(err, io.EOF) {
		return list, nil
	}
	return nil, err
}

// call bounds an operator's call.
func (f *fleet) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(f.t.Context(), patience)
}

// status is the standing of the configuration file.
func (f *fleet) status() *gatewayv1.GetConfigStatusResponse {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	status, err := gatewayv1.NewConfigServiceClient(f.conn).GetConfigStatus(ctx, &gatewayv1.GetConfigStatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		f.t.Fatal(err)
	}
	return status
}

// dataplanes is what the control plane knows of the data planes, by id.
func (f *fleet) dataplanes() map[string]*gatewayv1.DataPlane {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	stream, err := gatewayv1.NewDataPlaneServiceClient(f.conn).ListDataPlanes(ctx, &gatewayv1.ListDataPlanesRequest{}, grpc.WaitForReady(true))
	list, err := all(stream, err, (*gatewayv1.ListDataPlanesResponse).GetDataplanes)
	if err != nil {
		f.t.Fatal(err)
	}
	byID := make(map[string]*gatewayv1.DataPlane, len(list))
	for _, d := range list {
		byID[d.GetId()] = d
	}
	return byID
}

// awaitServing returns when every data plane that is connected serves the newest state.
func (f *fleet) awaitServing() {
	f.t.Helper()
	f.await("the data planes to serve the newest state", func() bool {
		serving := 0
		for _, d := range f.dataplanes() {
			switch d.GetState() {
			case gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING:
				serving++
			case gatewayv1.DataPlaneState_DATA_PLANE_STATE_DISCONNECTED:
			default:
				return false
			}
		}
		return serving > 0
	})
}

// awaitState returns when the control plane shows a data plane in a state.
func (f *fleet) awaitState(id string, state gatewayv1.DataPlaneState) *gatewayv1.DataPlane {
	f.t.Helper()
	var last *gatewayv1.DataPlane
	f.await(id+" to be "+state.String(), func() bool {
		last = f.dataplanes()[id]
		return last.GetState() == state
	})
	return last
}

// addKey makes a key and returns its secret and the revision that brought it.
func (f *fleet) addKey(name string) (secret string, revision uint64) {
	f.t.Helper()
	secret, err := apikey.Generate()
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := f.call()
	defer cancel()
	hash := apikey.Hash(secret)
	resp, err := gatewayv1.NewKeyServiceClient(f.conn).AddKey(ctx,
		&gatewayv1.AddKeyRequest{Name: name, Sha256: hash[:], SecretId: apikey.SecretID(secret)}, grpc.WaitForReady(true))
	if err != nil {
		f.t.Fatal(err)
	}
	return secret, resp.GetRevision()
}

// revokeKey ends a key and returns the revision that did.
func (f *fleet) revokeKey(name string) uint64 {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	resp, err := gatewayv1.NewKeyServiceClient(f.conn).RevokeKey(ctx, &gatewayv1.RevokeKeyRequest{NameOrId: name})
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.GetRevision()
}

// keyNames lists the keys of the control plane.
func (f *fleet) keyNames() map[string]bool {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	stream, err := gatewayv1.NewKeyServiceClient(f.conn).ListKeys(ctx, &gatewayv1.ListKeysRequest{}, grpc.WaitForReady(true))
	list, err := all(stream, err, (*gatewayv1.ListKeysResponse).GetKeys)
	if err != nil {
		f.t.Fatal(err)
	}
	names := make(map[string]bool, len(list))
	for _, k := range list {
		names[k.GetName()] = true
	}
	return names
}

// prove waits until a change of the keys is proven, or for as long as it may take, and returns the last standing.
func (f *fleet) prove(revision uint64, revocation bool, timeout time.Duration) *gatewayv1.WatchRolloutResponse {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	stream, err := gatewayv1.NewRolloutServiceClient(f.conn).WatchRollout(ctx, &gatewayv1.WatchRolloutRequest{
		Part: gatewayv1.Part_PART_KEYS, Revision: revision, Revocation: revocation, TimeoutMs: timeout.Milliseconds(),
	})
	last := &gatewayv1.WatchRolloutResponse{}
	for err == nil && !last.GetDone() {
		last, err = stream.Recv()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return last
}

// breakers is the state of a service's breaker by data plane.
func (f *fleet) breakers(service string) map[string]*gatewayv1.BreakerState {
	f.t.Helper()
	ctx, cancel := f.call()
	defer cancel()
	stream, err := gatewayv1.NewBreakerServiceClient(f.conn).ListBreakers(ctx, &gatewayv1.ListBreakersRequest{Service: service})
	list, err := all(stream, err, (*gatewayv1.ListBreakersResponse).GetBreakers)
	if err != nil {
		f.t.Fatal(err)
	}
	states := make(map[string]*gatewayv1.BreakerState, len(list))
	for _, b := range list {
		states[b.GetDataplane()] = b.GetState()
	}
	return states
}
