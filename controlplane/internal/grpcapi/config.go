package grpcapi

import (
	"bytes"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	gatewayv1 "apigateway/proto/gateway/v1"
)

// ConfigFile is the configuration in force; reload.File is it.
type ConfigFile interface {
	Services
	// Status returns the standing of the file.
	Status() *gatewayv1.GetConfigStatusResponse
	// Validate checks content against the same rules as a reload, the store's keys included, and changes nothing.
	Validate(ctx context.Context, file string, data []byte) (*gatewayv1.ValidateConfigResponse, error)
	// MaxBytes bounds the content of a file.
	MaxBytes() int
}

// maxFileName bounds the name of a file.
const maxFileName = 4096

type configServer struct {
	gatewayv1.UnimplementedConfigServiceServer
	file ConfigFile
}

// GetConfigStatus implements gatewayv1.ConfigServiceServer.
func (s *configServer) GetConfigStatus(context.Context, *gatewayv1.GetConfigStatusRequest) (*gatewayv1.GetConfigStatusResponse, error) {
	return s.file.Status(), nil
}

// ValidateConfig implements gatewayv1.ConfigServiceServer.
func (s *configServer) ValidateConfig(stream grpc.ClientStreamingServer[gatewayv1.ValidateConfigRequest, gatewayv1.ValidateConfigResponse]) error {
	var name string
	var data bytes.Buffer
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if name == "" {
			name = piece.GetFile()
		}
		if len(name) > maxFileName {
			return invalid("validate: file: got %d bytes (want at most %d)", len(name), maxFileName)
		}
		if data.Len()+len(piece.GetData()) > s.file.MaxBytes() {
			return invalid("validate: got more than %d bytes (want at most that)", s.file.MaxBytes())
		}
		data.Write(piece.GetData())
	}
	resp, err := s.file.Validate(stream.Context(), name, data.Bytes())
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}
