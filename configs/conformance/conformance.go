// Package conformance is what the data plane accepts and refuses, as data: raw HTTP/1.1 requests, each with what the RFCs and the gateway
// say to it. The system tests hold the data plane to it, and the comparison with other proxies counts by it.
//
// A Message is for a connection of its own. Its bytes are all that the client sends; who wants to see whether the connection goes on sends
// one more request behind them. Host is a in all of them, or is what the message is about.
//
// Everything here is made anew by each call; it is safe for concurrent use.
package conformance

// Class says what RFC 9110, 9112 and 3986 think of a message.
type Class uint8

// The classes.
const (
	Malformed Class = iota // a server has to refuse it
	Legal                  // a server has to take it
	Declined               // it is legal and the gateway refuses it all the same, for safety
	Optional               // a server may take it, mend it or refuse it: limits, old spellings, methods and codings that it need not have
)

// String returns the class's name in lower case.
func (c Class) String() string {
	return [...]string{"malformed", "legal", "declined", "optional"}[c]
}

// Message is bytes that a client sends, and what becomes of them.
type Message struct {
	Row   string // of the table of rules, see Sections
	Name  string // unique
	Class Class
	Send  string

	Statuses string // of the gateway's answers, in order, with a space between; 100 left out
	Saw      string // what the backend got whole, as "METHOD target host[ body]", with a bar between; a host of "" is the backend's own
	Begun    bool   // the backend may have got the beginning of one more request: the body is what is wrong
	Kept     bool   // the connection goes on: a request behind the message is answered
}

// row gives messages the row that they belong to.
func row(name string, messages ...Message) []Message {
	for i := range messages {
		messages[i].Row = name
	}
	return messages
}

// taken is a message that the backend gets and the connection survives.
func taken(class Class, name, send, saw string) Message {
	return Message{Name: name, Class: class, Send: send, Statuses: "200", Saw: saw, Kept: true}
}

// refused is a message of which the backend gets nothing and that ends its connection.
func refused(class Class, name, send, status string) Message {
	return Message{Name: name, Class: class, Send: send, Statuses: status}
}

// broken is a message whose body turns out to be wrong.
func broken(class Class, name, send string) Message {
	return Message{Name: name, Class: class, Send: send, Statuses: "400", Begun: true}
}

// last says that the connection ends behind the message.
func last(m Message) Message {
	m.Kept = false
	return m
}

const host = "Host: a\r\n"

func get(lines string) string { return "GET / HTTP/1.1\r\n" + host + lines + "\r\n" }

func post(lines, body string) string { return "POST / HTTP/1.1\r\n" + host + lines + "\r\n" + body }

func chunks(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

// What the backend gets of a usual message.
const (
	root   = "GET / a"
	posted = "POST / a"
	hello  = posted + " hello"
)
