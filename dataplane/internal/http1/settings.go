package http1

import "time"

// Settings are the limits of a server. Fields that are zero have their default.
type Settings struct {
	HeadTimeout  time.Duration // for a whole request head, and for a new connection's first byte; 10 s
	BodyTimeout  time.Duration // between two reads of a request's body; 30 s
	IdleTimeout  time.Duration // between two requests; 60 s
	WriteTimeout time.Duration // for a client to take 64 KiB of an answer; 60 s
	MaxRequests  int64         // on a connection; 10,000
	MaxAge       time.Duration // of a connection: the answer after that is the last; 1 h
	MaxConns     int           // open at a time; 10,000
}

func (s Settings) withDefaults() Settings {
	return Settings{
		HeadTimeout:  or(s.HeadTimeout, 10*time.Second),
		BodyTimeout:  or(s.BodyTimeout, 30*time.Second),
		IdleTimeout:  or(s.IdleTimeout, time.Minute),
		WriteTimeout: or(s.WriteTimeout, time.Minute),
		MaxRequests:  or(s.MaxRequests, 10_000),
		MaxAge:       or(s.MaxAge, time.Hour),
		MaxConns:     or(s.MaxConns, 10_000),
	}
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}
