package configs

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// message is what stands on a wire: a request at a backend, an answer at a client. Its reader takes nothing but the canonical form that the
// gateway has to write.
type message struct {
	start   string // without its CRLF
	fields  []field
	body    string
	chunked bool
}

// field is a header line, its name in lower case.
type field struct{ name, value string }

var (
	requestLine = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]+ /[!-~]* HTTP/1\.1$`)
	statusLine  = regexp.MustCompile(`^HTTP/1\.[01] [1-5][0-9][0-9] [ -~]*$`)
	fieldLine   = regexp.MustCompile(`^([!#$%&'*+.^_|~0-9A-Za-z-]+): ([^\x00-\x08\x0a-\x1f\x7f]*)$`)
	chunkLine   = regexp.MustCompile(`^[0-9a-f]{1,16}$`)
)

// line reads a line that ends in CRLF.
func line(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if err != nil {
		if text != "" {
			err = io.ErrUnexpectedEOF
		}
		return text, err
	}
	text, ok := strings.CutSuffix(text, "\r\n")
	if !ok {
		return text, fmt.Errorf("line ends in a bare LF: %.100q", text)
	}
	return text, nil
}

// readHead reads up to the empty line. It is io.EOF if nothing came at all.
func readHead(in *bufio.Reader, start *regexp.Regexp) (*message, error) {
	text, err := line(in)
	if err != nil {
		return nil, err
	}
	if !start.MatchString(text) {
		return nil, fmt.Errorf("bad start line: %.100q", text)
	}
	m := &message{start: text}
	for {
		text, err := line(in)
		switch {
		case err != nil:
			return m, notEOF(err)
		case text == "":
			return m, m.checkFraming()
		}
		parts := fieldLine.FindStringSubmatch(text)
		if parts == nil {
			return m, fmt.Errorf("bad header line: %.100q", text)
		}
		m.fields = append(m.fields, field{strings.ToLower(parts[1]), parts[2]})
	}
}

// notEOF is for where a message must not end.
func notEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // never wrapped here
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkFraming wants what says where the message ends to be said once.
func (m *message) checkFraming() error {
	length, coding := m.all("content-length"), m.all("transfer-encoding")
	if len(length)+len(coding) > 1 || len(coding) == 1 && coding[0] != "chunked" {
		return fmt.Errorf("framing in doubt: Content-Length %q, Transfer-Encoding %q", length, coding)
	}
	m.chunked = len(coding) == 1
	return nil
}

// readBody reads the body. toEnd: without a length it goes on to the end of the connection.
func (m *message) readBody(in *bufio.Reader, toEnd bool) error {
	switch length := m.get("content-length"); {
	case m.chunked:
		return m.readChunks(in)
	case length != "":
		n, err := strconv.ParseUint(length, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != length {
			return fmt.Errorf("bad Content-Length: %q", length)
		}
		body := make([]byte, n)
		read, err := io.ReadFull(in, body)
		m.body = string(body[:read])
		return notEOF(err)
	case toEnd:
		body, err := io.ReadAll(in)
		m.body = string(body)
		return err
	}
	return nil
}

func (m *message) readChunks(in *bufio.Reader) error {
	for {
		text, err := line(in)
		if err != nil {
			return notEOF(err)
		}
		if !chunkLine.MatchString(text) {
			return fmt.Errorf("bad chunk line: %.100q", text)
		}
		n, err := strconv.ParseUint(text, 16, 31)
		if err != nil {
			return err
		}
		data := make([]byte, n)
		read, err := io.ReadFull(in, data)
		m.body += string(data[:read])
		if err != nil {
			return notEOF(err)
		}
		if text, err := line(in); err != nil || text != "" {
			return fmt.Errorf("behind a chunk: %.100q, %w", text, notEOF(err))
		}
		if n == 0 {
			return nil
		}
	}
}

// all returns the values of a header, in order.
func (m *message) all(name string) (values []string) {
	for _, f := range m.fields {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}

// get returns the values of a header, with bars between.
func (m *message) get(name string) string { return strings.Join(m.all(name), "|") }

// status is an answer's.
func (m *message) status() string { return strings.Fields(m.start)[1] }

// brief is a request as the corpus writes it. own is the host of the backend itself.
func (m *message) brief(own string) string {
	host := m.get("host")
	if host == own {
		host = ""
	}
	target := strings.TrimSuffix(m.start, " HTTP/1.1")
	text := target + " " + host
	if m.body != "" {
		text += " " + m.body
	}
	return text
}

// headers returns the header lines but those that are named, sorted, as "name: value".
func (m *message) headers(but ...string) []string {
	all := []string{}
	for _, f := range m.fields {
		if !slices.Contains(but, f.name) {
			all = append(all, f.name+": "+f.value)
		}
	}
	slices.Sort(all)
	return all
}

// readAnswers reads the answers to requests of these methods, all GET if there are none, until the connection ends. interim answers are
// answers too. err is nil after a clean end.
func readAnswers(in *bufio.Reader, methods ...string) (answers []*message, err error) {
	for n := 0; ; {
		m, err := readHead(in, statusLine)
		if err == io.EOF { //nolint:errorlint // never wrapped here
			return answers, nil
		}
		if m != nil {
			answers = append(answers, m)
		}
		if err != nil {
			return answers, err
		}
		status := m.status()
		if status[0] == '1' {
			continue
		}
		method := "GET"
		if n < len(methods) {
			method = methods[n]
		}
		n++
		if method == "HEAD" || status == "204" || status == "304" {
			continue
		}
		if err := m.readBody(in, true); err != nil {
			return answers, err
		}
	}
}

// statuses lists those of answers, 100 left out.
func statuses(answers []*message) string {
	var all []string
	for _, m := range answers {
		if s := m.status(); s != "100" {
			all = append(all, s)
		}
	}
	return strings.Join(all, " ")
}
