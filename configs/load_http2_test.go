package configs

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// client2 is one connection of HTTP/2, in cleartext by prior knowledge. http.ClientConn repeats no request.
type client2 struct{ session *http.ClientConn }

func dialHTTP2(address string) (connection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	session, err := (&http.Transport{Protocols: protocols}).NewClientConn(ctx, "http", address)
	if err != nil {
		return nil, err
	}
	return &client2{session}, nil
}

func (c *client2) close() { _ = c.session.Close() } // it may be closed already

// get asks for a path. The connection ends once GOAWAY has come.
func (c *client2) get(path, key string) (status int, last bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway"+path, http.NoBody)
	if err != nil {
		return 0, true, err
	}
	req.Header.Set("X-API-KEY", key)
	resp, err := c.session.RoundTrip(req)
	if err != nil {
		if notTaken(err) {
			err = fmt.Errorf("%w: %w", errNotTaken, err)
		}
		return 0, true, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, c.session.Err() != nil || c.session.Available() == 0, err
}

// notTaken reports whether RoundTrip failed since GOAWAY had come before the request, or named an earlier one as the last (RFC 9113,
// section 6.8).
func notTaken(err error) bool {
	return strings.Contains(err.Error(), "graceful shutdown GOAWAY") || strings.Contains(err.Error(), "client conn not usable")
}
