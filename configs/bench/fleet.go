package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"apigateway/controlplane/control"
	"apigateway/dataplane/proxy"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// metered is the data plane beside the others that is connected through a relay. Its times are left out.
const metered = "metered"

// fleet is a control plane and data planes in this process.
type fleet struct {
	dir      string
	services int
	reload   chan struct{}
	group    *errgroup.Group
	cancel   context.CancelFunc
	conn     *grpc.ClientConn
	relay    *relay
	changes  int // of the configuration so far
}

// startFleet returns when every data plane serves everything.
func startFleet(ctx context.Context, opts options, dir string) (*fleet, error) {
	running, cancel := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	f := &fleet{dir: dir, services: opts.services, reload: make(chan struct{}), group: group, cancel: cancel}
	if err := f.start(running, opts.dataplanes); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// start starts one data plane after the other: all at once would share the cores for longer than a stream may take.
func (f *fleet) start(ctx context.Context, dataplanes int) error {
	address, err := f.startControl(ctx)
	if err != nil {
		return err
	}
	if f.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return err
	}
	if f.relay, err = newRelay(address); err != nil {
		return err
	}
	f.group.Go(func() error { return f.relay.run(ctx) })
	f.startData(ctx, metered, f.relay.listener.Addr().String())
	for i := range dataplanes {
		if err := f.awaitServing(ctx, i+1); err != nil {
			return err
		}
		f.startData(ctx, fmt.Sprintf("edge-%02d", i), address)
	}
	return f.awaitServing(ctx, dataplanes+1)
}

// startControl returns the address of the control plane.
func (f *fleet) startControl(ctx context.Context) (string, error) {
	if err := f.writeConfig(); err != nil {
		return "", err
	}
	started, failed := make(chan control.Addresses, 1), make(chan error, 1)
	f.group.Go(func() error {
		err := control.Run(ctx, control.Options{
			Config: f.config(), GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Store: "bolt:" + filepath.Join(f.dir, "controlplane.db"),
			Reload: f.reload, Started: func(a control.Addresses) { started <- a },
		})
		failed <- err
		return err
	})
	select {
	case a := <-started:
		return a.GRPC, nil
	case err := <-failed:
		return "", fmt.Errorf("control plane ended: %w", err)
	}
}

func (f *fleet) startData(ctx context.Context, id, controlplane string) {
	f.group.Go(func() error {
		return proxy.Run(ctx, proxy.Options{
			ControlPlanes: []string{controlplane}, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", ID: id,
			Cache: filepath.Join(f.dir, "cache-"+id),
		})
	})
}

// stop ends all and returns when it has.
func (f *fleet) stop() error {
	f.cancel()
	var err error
	if f.conn != nil {
		err = f.conn.Close()
	}
	return errors.Join(err, f.group.Wait())
}

func (f *fleet) config() string { return filepath.Join(f.dir, "gateway.yaml") }

// writeConfig replaces the file in one step. Each time the limit of the service in the middle is another.
func (f *fleet) writeConfig() (err error) {
	next, err := os.CreateTemp(f.dir, "gateway-*.yaml")
	if err != nil {
		return err
	}
	err = templates.ExecuteTemplate(next, "fleet.yaml", struct{ Services, Changed, Limit int }{f.services, f.services / 2, 100 + f.changes})
	if err := errors.Join(err, next.Close()); err != nil {
		return err
	}
	f.changes++
	return os.Rename(next.Name(), f.config())
}

// startPatience is for data planes that share few cores, each building every service.
const startPatience = 2 * time.Minute

func (f *fleet) awaitServing(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		serving, err := f.serving(ctx)
		if err == nil && serving == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d data planes serve: %w", serving, want, errors.Join(err, context.Cause(ctx)))
		case <-tick.C:
		}
	}
}

// serving counts the data planes that serve the newest state.
func (f *fleet) serving(ctx context.Context) (int, error) {
	stream, err := gatewayv1.NewDataPlaneServiceClient(f.conn).ListDataPlanes(ctx, &gatewayv1.ListDataPlanesRequest{})
	if err != nil {
		return 0, err
	}
	n := 0
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		for _, d := range page.GetDataplanes() {
			if d.GetState() == gatewayv1.DataPlaneState_DATA_PLANE_STATE_SERVING {
				n++
			}
		}
	}
}
