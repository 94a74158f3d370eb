package grpcapi

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"apigateway/controlplane/internal/fleet"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// defaultWait and maxWait bound how long an operator's call waits for data planes.
const (
	defaultWait = 10 * time.Second
	maxWait     = time.Hour
)

// Commits tells when a recent revision was committed; publish.Publisher has it.
type Commits interface {
	CommittedAt(revision uint64) (time.Time, bool)
}

type rolloutServer struct {
	gatewayv1.UnimplementedRolloutServiceServer
	fleet   *fleet.Fleet
	commits Commits
}

// WatchRollout implements gatewayv1.RolloutServiceServer.
func (s *rolloutServer) WatchRollout(req *gatewayv1.WatchRolloutRequest, stream grpc.ServerStreamingServer[gatewayv1.WatchRolloutResponse]) error {
	if !known(req.GetPart()) || req.GetRevision() == 0 {
		return invalid("rollout: got part %v revision %d (want config or keys, and a revision from 1)", req.GetPart(), req.GetRevision())
	}
	changed, end := s.fleet.Subscribe()
	defer end()
	change := fleet.Change{Part: req.GetPart(), Revision: req.GetRevision(), Entry: req.GetEntry(), Revocation: req.GetRevocation()}
	change.CommittedAt, _ = s.commits.CommittedAt(req.GetRevision())
	ctx, cancel := context.WithTimeout(stream.Context(), wait(req.GetTimeoutMs()))
	defer cancel()
	for {
		now := s.fleet.Standing(change)
		done := now.Proven || now.Final || ctx.Err() != nil
		err := stream.Send(&gatewayv1.WatchRolloutResponse{Rollout: now.Rollout, Done: done, Proven: now.Proven})
		if err != nil || done {
			return err
		}
		nextChange(ctx, s.fleet, changed)
	}
}

// gather is how long reports of one data plane more may be waited for, so that thousands that answer at about the same time do
// not make as many messages that each list all of them.
const gather = 20 * time.Microsecond

// nextChange waits for a change of the fleet, and a moment for others. It reports whether there was one before ctx ended.
func nextChange(ctx context.Context, f *fleet.Fleet, changed <-chan struct{}) bool {
	select {
	case <-changed:
	case <-ctx.Done():
		return false
	}
	moment := time.NewTimer(time.Duration(f.Len()) * gather)
	defer moment.Stop()
	select {
	case <-moment.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func wait(ms int64) time.Duration {
	if ms <= 0 {
		return defaultWait
	}
	return min(time.Duration(min(ms, maxWait.Milliseconds()))*time.Millisecond, maxWait)
}
