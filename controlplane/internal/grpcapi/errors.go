package grpcapi

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"apigateway/controlplane/internal/fleet"
	"apigateway/controlplane/internal/keystore"
	"apigateway/controlplane/internal/publish"
	"apigateway/controlplane/internal/store"
)

// statuses translates errors of the packages below to what gatewayctl sees. The first match wins.
var statuses = []struct {
	is   error
	code codes.Code
}{
	{keystore.ErrNotFound, codes.NotFound},
	{keystore.ErrExists, codes.AlreadyExists},
	{keystore.ErrInvalid, codes.InvalidArgument},
	{keystore.ErrAmbiguous, codes.FailedPrecondition},
	{keystore.ErrThirdSecret, codes.FailedPrecondition},
	{fleet.ErrUnknown, codes.NotFound},
	{fleet.ErrConnected, codes.FailedPrecondition},
	{fleet.ErrDisconnected, codes.Unavailable},
	{fleet.ErrBusy, codes.ResourceExhausted},
	{store.ErrReadOnly, codes.Unavailable},
	{store.ErrFull, codes.ResourceExhausted},
	{publish.ErrInvalid, codes.InvalidArgument},
	{publish.ErrLimit, codes.ResourceExhausted},
	{publish.ErrUncertain, codes.DeadlineExceeded},
	{publish.ErrClosed, codes.Unavailable},
	{publish.ErrAhead, codes.FailedPrecondition},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
}

// statusOf makes the error of an RPC. Operators are trusted with the whole text.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if _, ok := errors.AsType[*keystore.FileKeyError](err); ok {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	for _, s := range statuses {
		if errors.Is(err, s.is) {
			return status.Error(s.code, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
