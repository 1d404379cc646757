package rpc

import (
	"encoding/json"
)

// Protocol is what transports have to know of a protocol.
type Protocol struct {
	Name           string
	Version        string
	InstanceHeader string // names the server process that waits for the answers to its callbacks
	HealthPath     string // where a GET is answered with 200; empty: nowhere
}

// MethodInfo is one row of a protocol's table of methods.
type MethodInfo struct {
	Name         string
	Sender       string
	Receiver     string
	Notification bool
	Streaming    bool
	Idempotent   bool
	Deprecated   bool
}

// None stands for params or a result that a method does not have.
type None struct{}

// ParamStructure is how a method takes its params.
type ParamStructure uint8

// By name: an object. By position: an array in the order of the fields. Either: sent as an object.
const (
	ByName ParamStructure = iota
	ByPosition
	Either
)

// Codec reads, checks and writes the values of one type.
type Codec[T any] struct {
	Name  string
	Type  func() *Type // nil: anything goes
	Read  func(*T, *Value) error
	Write func(T, *Writer)
}

// NewCodec is the codec of a Go type for a schema.
func NewCodec[T any](name string, schema func() *Type, read func(*T, *Value) error, write func(T, *Writer)) *Codec[T] {
	return &Codec[T]{Name: name, Type: schema, Read: read, Write: write}
}

// Method is all that a client and a dispatcher need for one method.
type Method[P, R any] struct {
	Name       string
	Params     *Codec[P] // nil: no params
	Result     *Codec[R] // nil: none, the request is answered with null
	Errors     []ErrorType
	Idempotent bool
	Streaming  bool
	Results    bool // each event travels as the result of a response, the last of which is the answer
	Structure  ParamStructure
	Fields     []string // names of the params in order, for positions
}

// decode checks a value and reads it; loose: without constraints.
func (c *Codec[T]) decode(in *Value, loose bool) (T, error) {
	var v T
	if c.Type != nil {
		if violations := c.Type().violations(in, loose); violations != nil {
			return v, &ValidationError{Type: c.Name, Errors: violations}
		}
	}
	err := c.Read(&v, in)
	return v, err
}

// encode writes a value and checks what came out; loose: without constraints.
func (c *Codec[T]) encode(v T, loose bool) ([]byte, error) {
	text, err := Marshal(func(w *Writer) { c.Write(v, w) })
	if err != nil || c.Type == nil {
		return text, err
	}
	in, err := parseText(string(text))
	if err != nil {
		return nil, err
	}
	if violations := c.Type().violations(in, loose); violations != nil {
		return nil, &ValidationError{Type: c.Name, Errors: violations}
	}
	return text, nil
}

// outgoing is the params as they travel.
func (m *Method[P, R]) outgoing(params P) (json.RawMessage, error) {
	if m.Params == nil {
		return json.RawMessage("{}"), nil
	}
	text, err := Marshal(func(w *Writer) { m.Params.Write(params, w) })
	if err != nil || m.Structure != ByPosition {
		return text, err
	}
	return toPositions(text, m.Fields)
}

// toPositions turns an object into an array; members that are absent at the end are left out, others are null.
func toPositions(text []byte, fields []string) (json.RawMessage, error) {
	in, err := parseText(string(text))
	if err != nil || in.kind != KindObject {
		return text, err
	}
	list := make([]json.RawMessage, 0, len(fields))
	last := 0
	for i, name := range fields {
		value := in.Member(name)
		if value == nil {
			list = append(list, nil)
			continue
		}
		list = append(list, value.Raw())
		last = i + 1
	}
	return Marshal(func(w *Writer) { WriteList(WriteAny)(list[:last], w) })
}

// incoming reads the params of a request, wherever they may be an array by position.
func (m *Method[P, R]) incoming(params *Value, loose bool) (P, error) {
	if m.Params == nil {
		var none P
		return none, nil
	}
	if params == nil {
		params = &Value{kind: KindObject, raw: "{}", compound: new(compound)}
	}
	if params.kind == KindArray && m.Structure != ByName {
		named, err := fromPositions(params, m.Fields)
		if err != nil {
			var none P
			return none, err
		}
		params = named
	}
	return m.Params.decode(params, loose)
}

func fromPositions(params *Value, fields []string) (*Value, error) {
	if len(params.items) > len(fields) {
		return nil, &ValidationError{Type: "params", Errors: []Violation{{Path: "$", Message: "more params than the method has"}}}
	}
	text, err := Marshal(func(w *Writer) {
		w.Open(nil)
		for i := range params.items {
			Put(w, fields[i], json.RawMessage(params.items[i].raw), WriteAny)
		}
		w.Close()
	})
	if err != nil {
		return nil, err
	}
	return parseText(string(text))
}

// violationsOf is what is wrong with params that could not be read.
func violationsOf(err error) []Violation {
	switch err := err.(type) {
	case *ValidationError:
		return err.Errors
	case *DecodeError:
		return []Violation{{Path: err.Path, Message: err.Problem}}
	}
	return []Violation{{Path: "$", Message: err.Error()}}
}

// invalidParams is the error object for params that were refused.
func invalidParams(violations []Violation) *Error {
	data, err := Encode(map[string]any{"errors": violations})
	if err != nil {
		data = nil
	}
	return &Error{Code: CodeInvalidParams, Message: "Invalid params", Data: data}
}
