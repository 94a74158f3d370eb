package configs

import "strings"

// responseCases are the rows about what backends answer. Behind each malformed one a request is answered, over another connection.
func responseCases() []conformanceCase {
	var cases []conformanceCase
	for name, answer := range malformedResponses() {
		cases = append(cases, dialogues(dialogue{
			row: "malformed responses", name: name, send: ask("GET", "/", "", ""), script: inTurn(whole(answer), whole(okShort)),
			statuses: "502", saw: "GET / a", kept: true, conns: 2,
		})...)
	}
	for name, answer := range brokenBodies() {
		cases = append(cases, dialogues(
			dialogue{
				row: "truncated body", name: name, send: ask("GET", "/", "", ""), script: inTurn(thenClose(answer)),
				statuses: "200", saw: "GET / a", aborted: true,
			},
			dialogue{
				row: "truncated body", name: name + ", for HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", script: inTurn(thenClose(answer)),
				statuses: "200", saw: "GET / a", aborted: true,
			},
		)...)
	}
	return append(append(cases, bodyless()...), delimited()...)
}

func malformedResponses() map[string]string {
	const two = "Content-Length: 2\r\n"
	return map[string]string{
		"length twice":                okHead + two + two + "\r\nok",
		"lengths that differ":         okHead + two + "Content-Length: 3\r\n\r\nok",
		"list of lengths":             okHead + "Content-Length: 2, 2\r\n\r\nok",
		"signed length":               okHead + "Content-Length: +2\r\n\r\nok",
		"length that is empty":        okHead + "Content-Length:\r\n\r\nok",
		"length with zeros":           okHead + "Content-Length: 02\r\n\r\nok",
		"length over 63 bits":         okHead + "Content-Length: 9223372036854775808\r\n\r\nok",
		"length and coding":           okHead + two + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"unknown coding":              okHead + "Transfer-Encoding: gzip\r\n\r\nok",
		"two codings":                 okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"coding twice":                okHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"coding on 1.0":               "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"folded line":                 okHead + "X-A: a\r\n b\r\n" + two + "\r\nok",
		"bad name":                    okHead + "X A: a\r\n" + two + "\r\nok",
		"empty name":                  okHead + ": a\r\n" + two + "\r\nok",
		"space before colon":          okHead + "X-A : a\r\n" + two + "\r\nok",
		"no colon":                    okHead + "X-A\r\n" + two + "\r\nok",
		"NUL":                         okHead + "X-A: \x00\r\n" + two + "\r\nok",
		"control character":           okHead + "X-A: \x01\r\n" + two + "\r\nok",
		"DEL":                         okHead + "X-A: \x7f\r\n" + two + "\r\nok",
		"bare CR":                     okHead + "X-A: a\rb\r\n" + two + "\r\nok",
		"bare LF":                     okHead + "X-A: a\n" + two + "\r\nok",
		"bare LF in the status line":  "HTTP/1.1 200 OK\n" + two + "\r\nok",
		"control character in reason": "HTTP/1.1 200 \x01\r\n" + two + "\r\nok",
		"status of two digits":        "HTTP/1.1 20 OK\r\n" + two + "\r\nok",
		"status of four digits":       "HTTP/1.1 2000 OK\r\n" + two + "\r\nok",
		"status with a sign":          "HTTP/1.1 +20 OK\r\n" + two + "\r\nok",
		"status 600":                  "HTTP/1.1 600 OK\r\n" + two + "\r\nok",
		"status 099":                  "HTTP/1.1 099 OK\r\n" + two + "\r\nok",
		"another version":             "HTTP/2.0 200 OK\r\n" + two + "\r\nok",
		"no HTTP":                     "220 smtp.example ESMTP\r\n\r\n",
		"head over 64 KiB":            okHead + "X-A: " + strings.Repeat("a", 64<<10) + "\r\n" + two + "\r\nok",
		"over 200 fields":             okHead + strings.Repeat("X-A: a\r\n", 200) + two + "\r\nok",
		"9 interim responses":         strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9) + okShort,
	}
}

// brokenBodies begin with so much that the head of the answer has gone out when the end is found to be wrong.
func brokenBodies() map[string]string {
	begin := strings.Repeat("a", 1<<16)
	chunked := okHead + "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + begin + "\r\n"
	return map[string]string{
		"short":                     okHead + "Content-Length: 65537\r\n\r\n" + begin,
		"no last chunk":             chunked,
		"within a chunk":            chunked + "5\r\nhel",
		"no end of the trailers":    chunked + "0\r\n",
		"malformed trailer":         chunked + "0\r\nX y\r\n\r\n",
		"size with a prefix":        chunked + "0x1\r\na\r\n0\r\n\r\n",
		"size over 16 digits":       chunked + "00000000000000001\r\na\r\n0\r\n\r\n",
		"size that overflows":       chunked + "ffffffffffffffff\r\na\r\n0\r\n\r\n",
		"size with a space":         chunked + "1 \r\na\r\n0\r\n\r\n",
		"size with a sign":          chunked + "+1\r\na\r\n0\r\n\r\n",
		"size that is empty":        chunked + "\r\na\r\n0\r\n\r\n",
		"bad extension":             chunked + "1;=\r\na\r\n0\r\n\r\n",
		"bare LF":                   chunked + "1\na\r\n0\r\n\r\n",
		"no CRLF behind the data":   chunked + "1\r\naXX0\r\n\r\n",
		"chunk line over 256 bytes": chunked + "1;" + strings.Repeat("e", 255) + "\r\na\r\n0\r\n\r\n",
	}
}

// bodyless are answers that have no body whatever they say.
func bodyless() []conformanceCase {
	const length = "Content-Length: 5\r\n\r\n"
	return dialogues(
		dialogue{
			row: "no body", name: "204", send: ask("GET", "/", "", ""), script: inTurn(whole("HTTP/1.1 204 No Content\r\n\r\n"), whole(okShort)),
			statuses: "204", saw: "GET / a", kept: true, conns: 1, answer: []string{},
		},
		dialogue{
			row: "no body", name: "204 with a length", send: ask("GET", "/", "", ""), script: inTurn(whole("HTTP/1.1 204 No Content\r\n"+length), whole(okShort)),
			statuses: "204", saw: "GET / a", kept: true, conns: 1, answer: []string{},
		},
		dialogue{
			row: "no body", name: "304 with a length", send: ask("GET", "/", "", ""), script: inTurn(whole("HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n"+length), whole(okShort)),
			statuses: "304", saw: "GET / a", kept: true, conns: 1, answer: []string{"etag: \"a\""},
		},
		dialogue{
			row: "no body", name: "HEAD with a length", methods: []string{"HEAD"}, send: ask("HEAD", "/", "", ""), script: inTurn(whole(okHead+length), whole(okShort)),
			statuses: "200", saw: "HEAD / a", kept: true, conns: 1, answer: []string{"content-length: 5"},
		},
		dialogue{
			row: "no body", name: "HEAD with chunks", methods: []string{"HEAD"}, send: ask("HEAD", "/", "", ""),
			script:   inTurn(whole(okHead+"Transfer-Encoding: chunked\r\n\r\n"), whole(okShort)),
			statuses: "200", saw: "HEAD / a", kept: true, conns: 1,
		},
		dialogue{
			row: "no body", name: "204 with a body all the same", send: ask("GET", "/", "", ""), script: inTurn(whole("HTTP/1.1 204 No Content\r\n"+length+"hello"), whole(okShort)),
			statuses: "204", saw: "GET / a", kept: true, conns: 2,
		},
		dialogue{
			row: "no body", name: "304 with a body all the same", send: ask("GET", "/", "", ""),
			script:   inTurn(whole("HTTP/1.1 304 Not Modified\r\n"+length+"hello"), whole(okShort)),
			statuses: "304", saw: "GET / a", kept: true, conns: 2,
		},
		dialogue{
			row: "no body", name: "HEAD with a body all the same", methods: []string{"HEAD"}, send: ask("HEAD", "/", "", ""),
			script:   inTurn(whole(okHead+length+"hello"), whole(okShort)),
			statuses: "200", saw: "HEAD / a", kept: true, conns: 2,
		},
		dialogue{
			row: "no body", name: "a response that is smuggled behind a 204", send: ask("GET", "/", "", ""),
			script:   inTurn(whole("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), whole(okShort)),
			statuses: "204", saw: "GET / a", kept: true, conns: 2, body: "",
		},
	)
}

// delimited are bodies that end with the backend's connection.
func delimited() []conformanceCase {
	const answer = okHead + "X-A: a\r\n\r\nto the end"
	return dialogues(
		dialogue{
			row: "close-delimited body", name: "becomes chunked", send: ask("GET", "/", "", ""), script: inTurn(thenClose(answer), whole(okShort)),
			statuses: "200", saw: "GET / a", kept: true, conns: 2, answer: []string{"transfer-encoding: chunked", "x-a: a"}, body: "to the end",
		},
		dialogue{
			row: "close-delimited body", name: "ends the connection of HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
			script: inTurn(thenClose(answer)), statuses: "200", saw: "GET / a", answer: []string{"connection: close", "x-a: a"}, body: "to the end",
		},
		dialogue{
			row: "close-delimited body", name: "of a backend that speaks HTTP/1.0", send: ask("GET", "/", "", ""),
			script:   inTurn(thenClose("HTTP/1.0 200 OK\r\n\r\nto the end"), whole(okShort)),
			statuses: "200", saw: "GET / a", kept: true, conns: 2, body: "to the end",
		},
	)
}
