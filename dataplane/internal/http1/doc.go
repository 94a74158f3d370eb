// Package http1 is the data plane's HTTP/1.1 server.
package http1
