package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"apigateway/proto/apikey"
)

// errInterrupted fails a command that a signal ended while it read stdin.
var errInterrupted = errors.New("interrupted")

// stdin returns stdin with reads that fail once ctx has ended: a signal must end a command that waits for a person, too.
// Nothing can end the read of stdin itself; its goroutine stays behind until the process is gone.
func (a *app) stdin(ctx context.Context) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(errInterrupted) }) // never fails
	go func() {
		_, err := io.Copy(w, a.Stdin)
		_ = w.CloseWithError(err) // never fails; nil is the end of the input
	}()
	return r
}

// readLine returns the first line of stdin without its end, cut behind the longest that any command takes.
func (a *app) readLine(ctx context.Context) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(a.stdin(ctx), apikey.MaxSecret+2)).ReadString('\n')
	switch {
	case errors.Is(err, errInterrupted):
		return "", err
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("stdin: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
