package reload

import (
	"context"

	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/store"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// MaxBytes bounds the content of a file.
func (f *File) MaxBytes() int { return config.MaxBytes }

// Validate checks content against the rules of Load and changes nothing. file is its name in messages.
func (f *File) Validate(ctx context.Context, file string, data []byte) (*gatewayv1.ValidateConfigResponse, error) {
	cfg, mistakes, warnings := config.Parse(file, data)
	if cfg != nil {
		err := f.publisher.View(ctx, func(r store.Reader) error {
			mistakes = heldByStore(r, file, cfg)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &gatewayv1.ValidateConfigResponse{Mistakes: messages(mistakes), Warnings: messages(warnings)}, nil
}

func messages(m config.Mistakes) []*gatewayv1.ConfigMistake {
	out := make([]*gatewayv1.ConfigMistake, len(m))
	for i, x := range m {
		out[i] = &gatewayv1.ConfigMistake{File: x.File, Line: int64(x.Line), Column: int64(x.Column), Path: x.Path, Message: x.Message}
	}
	return out
}
