package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"apigateway/gatewayctl/internal/render"
	gatewayv1 "apigateway/proto/gateway/v1"
)

// piece is how much of a file one message carries, in bytes.
const piece = 512 << 10

// configValidate is "config validate".
type configValidate struct {
	app *app
}

func (a *app) configValidateCommand() *cobra.Command {
	o := &configValidate{app: a}
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Let the control plane check a configuration file; nothing changes",
		Long: `Let the control plane check a configuration file; nothing changes. FILE - is stdin.

Every mistake is one line, file:line:column: path: problem. Exit 1 if there is one; warnings alone are exit 0. Keys in the
file are sent with it; the control plane hashes them at once and keeps nothing.`,
		Args: operands(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
}

func (o *configValidate) run(ctx context.Context, name string) error {
	file, shown, err := o.open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	c, err := o.app.connect()
	if err != nil {
		return err
	}
	defer c.close()
	resp, err := send(ctx, c, shown, file)
	if err != nil {
		return err
	}
	if o.app.json() {
		err = render.Object(o.app.Stdout, render.NewValidation(resp))
	} else {
		err = render.ValidationText(o.app.Stdout, shown, resp)
	}
	if err == nil && len(resp.GetMistakes()) > 0 {
		return errSaid
	}
	return err
}

// open returns the file and its name in messages.
func (o *configValidate) open(ctx context.Context, name string) (file io.ReadCloser, shown string, err error) {
	if name == "-" {
		return io.NopCloser(o.app.stdin(ctx)), "stdin", nil
	}
	file, err = os.Open(name)
	return file, name, err
}

// send streams a file to the control plane and returns what it found. The time that reading takes is nobody's delay.
func send(ctx context.Context, c *client, name string, file io.Reader) (*gatewayv1.ValidateConfigResponse, error) {
	ctx, watchdog, end := c.bounded(ctx)
	defer end()
	stream, err := c.config.ValidateConfig(ctx)
	if err != nil {
		return nil, c.explain(overdue(ctx, err))
	}
	for more := true; more; name = "" {
		data := make([]byte, piece) // a message must not change once it was sent
		watchdog.Stop()
		n, err := io.ReadFull(file, data)
		watchdog.Reset(c.timeout)
		if more = err == nil; !more && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		if n == 0 && name == "" {
			break
		}
		if err := stream.Send(&gatewayv1.ValidateConfigRequest{File: name, Data: data[:n]}); err != nil {
			break // the answer says why
		}
	}
	resp, err := stream.CloseAndRecv()
	return resp, c.explain(overdue(ctx, err))
}
