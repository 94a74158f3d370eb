package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a file in bytes.
const maxFile = 1 << 20

// named is a file and the setting that names it.
type named struct{ setting, path string }

// watched is what some files hold, or held when they were last good.
type watched[T any] struct {
	files []named
	parse func(content [][]byte) (T, error)
	good  T
	seen  [sha256.Size]byte // of the content that was tried last
	wrong string            // why the files could not be read the last time; "": they could
}

func watch[T any](parse func(content [][]byte) (T, error), files ...named) *watched[T] {
	return &watched[T]{files: files, parse: parse}
}

// look reads the files. The error is new: the last look did not have it.
func (w *watched[T]) look(accept func(T) error) (changed bool, err error) {
	content, sum, err := w.read()
	if err != nil {
		if err.Error() == w.wrong {
			return false, nil
		}
		w.wrong = err.Error()
		return false, err
	}
	w.wrong = ""
	if sum == w.seen {
		return false, nil
	}
	w.seen = sum
	next, err := w.parse(content)
	if err == nil {
		err = accept(next)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", w.names(), err)
	}
	w.good = next
	return true, nil
}

func (w *watched[T]) names() string {
	names := make([]string, 0, len(w.files))
	for _, f := range w.files {
		names = append(names, f.setting+" "+f.path)
	}
	return strings.Join(names, ", ")
}

func (w *watched[T]) read() (content [][]byte, sum [sha256.Size]byte, err error) {
	all := sha256.New()
	for _, f := range w.files {
		data, err := readFile(f.path)
		if err != nil {
			return nil, sum, fmt.Errorf("%s %s: %w", f.setting, f.path, err)
		}
		each := sha256.Sum256(data)
		all.Write(each[:])
		content = append(content, data)
	}
	return content, [sha256.Size]byte(all.Sum(nil)), nil
}

// readFile reads a regular file: opening a pipe would wait for its writer.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, nil
}

// reason leaves out the path, which the caller names.
func reason(err error) error {
	if at, ok := errors.AsType[*os.PathError](err); ok {
		return at.Err
	}
	return err
}

func pairOf(content [][]byte) (tls.Certificate, error) {
	return tls.X509KeyPair(content[0], content[1])
}

func authoritiesOf(content [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content[0]) {
		return nil, errors.New("got no certificate (want at least one in PEM)")
	}
	return pool, nil
}
