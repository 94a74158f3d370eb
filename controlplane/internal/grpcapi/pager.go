package grpcapi

import "google.golang.org/protobuf/proto"

// pageBytes bounds a page of a streamed list, well below the largest message.
const pageBytes = 256 << 10

// pager gathers rows into pages of about pageBytes.
type pager[T proto.Message] struct {
	send  func([]T) error
	rows  []T
	bytes int
}

func (p *pager[T]) add(row T) error {
	p.rows = append(p.rows, row)
	p.bytes += proto.Size(row)
	if p.bytes < pageBytes {
		return nil
	}
	return p.flush()
}

// flush sends what is left.
func (p *pager[T]) flush() error {
	if len(p.rows) == 0 {
		return nil
	}
	err := p.send(p.rows)
	p.rows, p.bytes = nil, 0
	return err
}
