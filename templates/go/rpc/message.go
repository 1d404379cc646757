package rpc

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
)

// Request is a request, or a notification where ID is empty. Params is JSON text, or nil for none.
type Request struct {
	ID     string
	Method string
	Params json.RawMessage
	Header http.Header // sent over HTTP only
}

func (r *Request) encode() []byte {
	text, err := Marshal(func(w *Writer) {
		w.Open(nil)
		w.Const("jsonrpc", `"2.0"`)
		PutIf(w, "id", r.ID != "", r.ID, WriteString)
		Put(w, "method", r.Method, WriteString)
		// Params have been written by a Writer or checked by Compact.
		PutIf(w, "params", r.Params != nil, r.Params, func(v json.RawMessage, w *Writer) { w.buf = append(w.buf, v...) })
		w.Close()
	})
	if err != nil {
		// Only a method name that is no UTF-8 gets here; an empty message makes the other side refuse it.
		return []byte("{}")
	}
	return text
}

// Response is the answer to a request: Error, or else Result.
type Response struct {
	Result *Value
	Error  *Error
}

// newID is 128 random bits: an id that nobody can guess, since answers to callbacks are found by it.
func newID() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails since Go 1.24
	return hex.EncodeToString(bits[:])
}

type messageKind uint8

const (
	invalidMessage messageKind = iota
	requestMessage
	notificationMessage
	responseMessage
)

// message is a JSON-RPC object that came in.
type message struct {
	kind   messageKind
	id     *Value // nil when absent
	method string
	params *Value // nil when absent
	object *Value // the whole call
	answer Response
}

// Usage is how a protocol uses JSON-RPC where it departs from the standard, which is the zero Usage.
type Usage struct {
	NoBatches bool // an array is no message
	PlainIDs  bool // the id of a request is a string or an integer, neither null nor a fraction
	Lenient   bool // jsonrpc may be missing from a call, and its params may be null
}

// takes reports whether the id of a request is one.
func (u Usage) takes(id *Value) bool {
	return !u.PlainIDs || id.kind == KindString || id.kind == KindNumber && isInteger(id.text)
}

// isBatch reports whether a value is a batch, rather than one message or none.
func (u Usage) isBatch(v *Value) bool { return v.kind == KindArray && !u.NoBatches }

// classify tells what a JSON value is. An invalid message keeps its id where that is a legal one.
func classify(v *Value, usage Usage) *message {
	m := new(message)
	if v.kind != KindObject {
		return m
	}
	id := v.Member("id")
	if id != nil && id.kind != KindString && id.kind != KindNumber && id.kind != KindNull {
		return m
	}
	m.id = id
	method, version := v.Member("method"), v.Member("jsonrpc")
	if version == nil && (method == nil || !usage.Lenient) || version != nil && version.Text() != "2.0" {
		return m
	}
	switch isAnswer := v.Member("result") != nil || v.Member("error") != nil; {
	case method != nil && !isAnswer && id != nil && !usage.takes(id):
		// The answer to such an id could not be told from that to a message that nobody could read.
		m.id = nil
	case method != nil && !isAnswer:
		m.asCall(v, method, usage)
	case method == nil && id != nil:
		m.asAnswer(v)
	}
	return m
}

func (m *message) asCall(v, method *Value, usage Usage) {
	// Parameters are an array or an object (JSON-RPC 2.0, section 4.2); null is neither.
	params := v.Member("params")
	if params != nil && params.kind == KindNull && usage.Lenient {
		params = nil
	}
	if method.kind != KindString || params != nil && params.kind != KindObject && params.kind != KindArray {
		return
	}
	m.method, m.params, m.object = method.text, params, v
	m.kind = requestMessage
	if m.id == nil {
		m.kind = notificationMessage
	}
}

func (m *message) asAnswer(v *Value) {
	failure, result := v.Member("error"), v.Member("result")
	if failure != nil && failure.kind == KindNull && result != nil {
		failure = nil // JSON-RPC 1.0 peers send both
	}
	switch {
	case failure != nil:
		e := new(Error)
		o := ReadObject(failure)
		Required(o, "code", &e.Code, ReadInt64)
		Required(o, "message", &e.Message, ReadString)
		Optional(o, "data", &e.Data, ReadAny)
		if o.err != nil {
			return
		}
		m.answer.Error = e
	case result != nil:
		m.answer.Result = result
	default:
		return
	}
	m.kind = responseMessage
}

// idText is the id as it has to be repeated in an answer.
func (m *message) idText() string {
	if m.id == nil {
		return "null"
	}
	return m.id.raw
}

func encodeResult(id string, result []byte) []byte {
	return append(append(append(append([]byte(`{"jsonrpc":"2.0","id":`), id...), `,"result":`...), result...), '}')
}

func encodeError(id string, e *Error) []byte {
	object, err := Marshal(e.write)
	if err != nil {
		// The handler's message or data has no JSON form: its code still has.
		object, _ = Marshal((&Error{Code: e.Code, Message: "Internal error"}).write)
	}
	return append(append(append(append([]byte(`{"jsonrpc":"2.0","id":`), id...), `,"error":`...), object...), '}')
}
