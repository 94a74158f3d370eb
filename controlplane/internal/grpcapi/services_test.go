package grpcapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	gatewayv1 "apigateway/proto/gateway/v1"
)

func TestDataPlanes(t *testing.T) {
	w := newWorld(t, options{})
	a := w.joins("a")
	w.joins("b")
	c := gatewayv1.NewDataPlaneServiceClient(w.conn)
	list := func() (ids []string) {
		t.Helper()
		stream, err := c.ListDataPlanes(w.ctx(), &gatewayv1.ListDataPlanesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			page, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return ids
			} else if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.GetDataplanes() {
				ids = append(ids, d.GetId()+" "+strings.TrimPrefix(d.GetState().String(), "DATA_PLANE_STATE_"))
			}
		}
	}
	_, err := c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"})
	wantStatus(t, err, codes.FailedPrecondition, `data plane is connected: "a"`)
	a.leave(w)
	if want := []string{"a DISCONNECTED", "b SERVING"}; !cmp.Equal(list(), want) {
		t.Errorf("list = %q, want %q", list(), want)
	}
	if _, err := c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"}); err != nil {
		t.Error(err)
	}
	if want := []string{"b SERVING"}; !cmp.Equal(list(), want) {
		t.Errorf("list = %q, want %q", list(), want)
	}
	_, err = c.ForgetDataPlane(w.ctx(), &gatewayv1.ForgetDataPlaneRequest{Id: "a"})
	wantStatus(t, err, codes.NotFound, `unknown data plane: "a"`)
}

// small is a ConfigFile of which little is taken.
type small struct{ ConfigFile }

func (small) MaxBytes() int { return 2 << 20 }

func TestConfig(t *testing.T) {
	w := newWorld(t, options{config: func(c ConfigFile) ConfigFile { return small{c} }})
	w.addKey("alice")
	c := gatewayv1.NewConfigServiceClient(w.conn)
	got, err := c.GetConfigStatus(w.ctx(), &gatewayv1.GetConfigStatusRequest{})
	if err != nil || got.GetFile() != "/etc/gateway.yaml" || got.GetRevision() != 2 || got.GetAppliedAtMs() == 0 || got.GetErrorAtMs() != 0 {
		t.Errorf("GetConfigStatus() = %v, %v", got, err)
	}
	// validate sends a file in pieces.
	validate := func(file string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
		stream, err := c.ValidateConfig(w.ctx())
		if err != nil {
			return nil, err
		}
		_ = stream.Send(&gatewayv1.ValidateConfigRequest{File: file}) // an error is that of CloseAndRecv
		for len(data) > 0 {
			n := min(len(data), 512<<10)
			if stream.Send(&gatewayv1.ValidateConfigRequest{Data: data[:n]}) != nil {
				break
			}
			data = data[n:]
		}
		return stream.CloseAndRecv()
	}
	mistake := func(line, column int64, path, message string) *gatewayv1.ConfigMistake {
		return &gatewayv1.ConfigMistake{File: "new.yaml", Line: line, Column: column, Path: path, Message: message}
	}
	const withKeys = "services: [{name: users, route_pattern: /users, urls: [\"http://a\"], middleware: [auth_apikey]}]\n" +
		"middleware_config: {auth_apikey: {valid_keys: [%s]}}\n"
	for _, test := range []struct {
		name string
		data string
		want *gatewayv1.ValidateConfigResponse
	}{
		{"good", fmt.Sprintf(withKeys, `{name: carol, key: another}`), &gatewayv1.ValidateConfigResponse{}},
		{"bad", "services: 3\nprot: 1\n", &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(1, 11, "services", "wrong type, got a number (want a list)"), mistake(2, 1, "prot", "unknown field, did you mean port?"),
		}}},
		{"a name of the store", fmt.Sprintf(withKeys, `{name: alice, key: another}`), &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(2, 48, "middleware_config.auth_apikey.valid_keys[0]", `key "alice" is in the store too (want it in one place: gatewayctl keys revoke alice)`),
		}}},
		{"a secret of the store", fmt.Sprintf(withKeys, `{name: dave, key: another}, {name: bob, key: secret of alice}`), &gatewayv1.ValidateConfigResponse{Mistakes: []*gatewayv1.ConfigMistake{
			mistake(2, 76, "middleware_config.auth_apikey.valid_keys[1]", `key "bob" has the same secret as key "alice" of the store (want it in one place: gatewayctl keys revoke alice)`),
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.publisher.State().Revision
			got, err := validate("new.yaml", []byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("ValidateConfig() differs (-want +got):\n%s", diff)
			}
			if w.publisher.State().Revision != before {
				t.Error("a check changed the store")
			}
		})
	}
	_, err = validate(strings.Repeat("f", maxFileName+1), nil)
	wantStatus(t, err, codes.InvalidArgument, "validate: file: got 4097 bytes (want at most 4096)")
	_, err = validate("f", bytes.Repeat([]byte("#"), 2<<20+1))
	wantStatus(t, err, codes.InvalidArgument, "validate: got more than 2097152 bytes (want at most that)")
	if got, err := validate("f", bytes.Repeat([]byte("#"), 1<<20)); err != nil || len(got.GetMistakes()) == 0 {
		t.Errorf("a file in pieces: %v, %v", got, err)
	}
}
