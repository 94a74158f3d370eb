package grpcapi

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/grpc"

	"apigateway/controlplane/internal/keystore"
	"apigateway/proto/apikey"
	gatewayv1 "apigateway/proto/gateway/v1"
)

const (
	// keysPerPage is how many keys are read from the store at a time.
	keysPerPage = 1000
	// maxOverlap bounds how long the two secrets of a key go on together.
	maxOverlap = 100 * 365 * 24 * time.Hour
)

type keyServer struct {
	gatewayv1.UnimplementedKeyServiceServer
	keys *keystore.Keystore
}

// AddKey implements gatewayv1.KeyServiceServer.
func (s *keyServer) AddKey(ctx context.Context, req *gatewayv1.AddKeyRequest) (*gatewayv1.AddKeyResponse, error) {
	hash, err := hashOf(req.GetSha256())
	if err != nil {
		return nil, err
	}
	change, err := s.keys.Add(ctx, keystore.AddRequest{
		Name: req.GetName(), Hash: hash, SecretID: req.GetSecretId(), ExpiresAt: timeOf(req.GetExpiresAtMs()), Services: req.GetServices(),
	})
	if err != nil {
		return nil, err
	}
	return &gatewayv1.AddKeyResponse{Key: keyInfo(change.Key), Revision: change.Revision}, nil
}

// ListKeys implements gatewayv1.KeyServiceServer. Keys that come or go meanwhile may be missing.
func (s *keyServer) ListKeys(_ *gatewayv1.ListKeysRequest, stream grpc.ServerStreamingServer[gatewayv1.ListKeysResponse]) error {
	page := pager[*gatewayv1.KeyInfo]{send: func(rows []*gatewayv1.KeyInfo) error {
		return stream.Send(&gatewayv1.ListKeysResponse{Keys: rows})
	}}
	for after := ""; ; {
		keys, err := s.keys.List(stream.Context(), after, keysPerPage)
		if err != nil {
			return err
		}
		for _, k := range keys {
			after = k.Name
			if err := page.add(keyInfo(k)); err != nil {
				return err
			}
		}
		if len(keys) < keysPerPage {
			return page.flush()
		}
	}
}

// GetKey implements gatewayv1.KeyServiceServer.
func (s *keyServer) GetKey(ctx context.Context, req *gatewayv1.GetKeyRequest) (*gatewayv1.GetKeyResponse, error) {
	key, err := s.keys.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &gatewayv1.GetKeyResponse{Key: keyInfo(key)}, nil
}

// RevokeKey implements gatewayv1.KeyServiceServer.
func (s *keyServer) RevokeKey(ctx context.Context, req *gatewayv1.RevokeKeyRequest) (*gatewayv1.RevokeKeyResponse, error) {
	change, err := s.keys.Revoke(ctx, req.GetNameOrId())
	if err != nil {
		return nil, err
	}
	return &gatewayv1.RevokeKeyResponse{Revision: change.Revision, Name: change.Key.Name, SecretIds: change.SecretIDs}, nil
}

// RotateKey implements gatewayv1.KeyServiceServer.
func (s *keyServer) RotateKey(ctx context.Context, req *gatewayv1.RotateKeyRequest) (*gatewayv1.RotateKeyResponse, error) {
	hash, err := hashOf(req.GetSha256())
	if err != nil {
		return nil, err
	}
	overlap := req.GetOverlapMs()
	if overlap > maxOverlap.Milliseconds() {
		return nil, invalid("overlap: got %d ms (want at most %d)", overlap, maxOverlap.Milliseconds())
	}
	change, err := s.keys.Rotate(ctx, keystore.RotateRequest{
		Name: req.GetName(), Hash: hash, SecretID: req.GetSecretId(), Overlap: time.Duration(overlap) * time.Millisecond,
		ExpiresAt: expiryOf(req),
	})
	if err != nil {
		return nil, err
	}
	return &gatewayv1.RotateKeyResponse{Key: keyInfo(change.Key), Revision: change.Revision}, nil
}

// expiryOf is nil for a request that leaves the end of the new secret to the control plane.
func expiryOf(req *gatewayv1.RotateKeyRequest) *time.Time {
	if req.ExpiresAtMs == nil {
		return nil
	}
	at := timeOf(req.GetExpiresAtMs())
	return &at
}

func hashOf(b []byte) ([sha256.Size]byte, error) {
	if len(b) != sha256.Size {
		return [sha256.Size]byte{}, invalid("sha256: got %d bytes (want %d)", len(b), sha256.Size)
	}
	return [sha256.Size]byte(b), nil
}

func keyInfo(k keystore.Key) *gatewayv1.KeyInfo {
	out := &gatewayv1.KeyInfo{Id: k.ID(), Name: k.Name, FromFile: k.FromFile, Only: k.Only, Services: k.Services}
	for _, s := range k.Secrets {
		out.Secrets = append(out.Secrets, &gatewayv1.SecretInfo{
			Id: s.ID, CreatedAtMs: msOf(s.CreatedAt), ExpiresAtMs: msOf(s.ExpiresAt), LastUsedAtMs: msOf(s.LastUsedAt),
		})
	}
	return out
}

// usesOf converts the last uses that a data plane reports. Names that no key can have are left out: they are kept until they are
// found to be unknown.
func usesOf(uses []*gatewayv1.KeyUse) []keystore.Use {
	out := make([]keystore.Use, 0, len(uses))
	for _, u := range uses {
		if apikey.ValidName(u.GetName()) == nil && apikey.ValidName(u.GetSecretId()) == nil {
			out = append(out, keystore.Use{Name: u.GetName(), SecretID: u.GetSecretId(), At: time.Unix(u.GetAtMinute()*60, 0)})
		}
	}
	return out
}

// timeOf is the inverse of msOf; 0 is the zero time.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func msOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
