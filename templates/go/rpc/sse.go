package rpc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// DefaultMaxBytes bounds one message: a body, an event, a line.
const DefaultMaxBytes = 16 << 20

var errTooLong = errors.New("message over the size limit")

// serverEvent is one event of a text/event-stream.
type serverEvent struct {
	name string
	data []byte
}

// eventReader splits a text/event-stream into events, as the HTML standard defines it (9.2.6): lines end with
// CR, LF or both, data lines are joined, comments and unknown fields are skipped, and an event that the end
// of the stream cuts off is dropped.
type eventReader struct {
	in     *bufio.Reader
	limit  int
	skipLF bool // the last line ended with CR
}

func newEventReader(in io.Reader, limit int) *eventReader {
	r := &eventReader{in: bufio.NewReader(in), limit: limit}
	if head, err := r.in.Peek(3); err == nil && string(head) == "\ufeff" {
		_, _ = r.in.Discard(3)
	}
	return r
}

// next is the next event that has data; io.EOF after the last.
func (r *eventReader) next() (*serverEvent, error) {
	event, found := new(serverEvent), false
	for {
		line, err := r.line(r.limit - len(event.data))
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if found {
				event.data = bytes.TrimSuffix(event.data, []byte("\n"))
				return event, nil
			}
			event = new(serverEvent)
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			event.name = string(value)
		case "data":
			found = true
			event.data = append(append(event.data, value...), '\n')
		}
	}
}

func (r *eventReader) line(limit int) ([]byte, error) {
	var line []byte
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return nil, err
		}
		if r.skipLF && c == '\n' {
			r.skipLF = false
			continue
		}
		r.skipLF = c == '\r'
		if c == '\n' || c == '\r' {
			return line, nil
		}
		if len(line) >= limit {
			return nil, errTooLong
		}
		line = append(line, c)
	}
}

// encodeEvent is the text of one event without a name.
func encodeEvent(data []byte) []byte {
	return append(append([]byte("data: "), data...), "\n\n"...)
}

// encodeStreamed is how an event of a method travels: an object of the two members event and data under its
// own name, anything else as it is.
func encodeStreamed(text []byte) []byte {
	in, err := parseText(string(text))
	if err != nil {
		return encodeEvent(text)
	}
	name, data := in.Member("event"), in.Member("data")
	if name == nil || data == nil || len(in.members) != 2 || !nameable(name) {
		return encodeEvent(text)
	}
	return append([]byte("event: "+name.text+"\n"), encodeEvent([]byte(data.raw))...)
}

// nameable tells names that come out of an event stream as they went in.
func nameable(name *Value) bool {
	if name.kind != KindString || name.text == "" || name.text == "message" {
		return false
	}
	for i := 0; i < len(name.text); i++ {
		if c := name.text[i]; c == '\n' || c == '\r' || c == 0 {
			return false
		}
	}
	return true
}

// streamedValue is the event that a named or unnamed event of the stream stands for.
func streamedValue(name string, data *Value) (*Value, error) {
	if name == "" || name == "message" {
		return data, nil
	}
	text, err := Marshal(func(w *Writer) {
		w.Open(nil)
		Put(w, "event", name, WriteString)
		Put(w, "data", json.RawMessage(data.raw), WriteAny)
		w.Close()
	})
	if err != nil {
		return nil, err
	}
	return parseText(string(text))
}
