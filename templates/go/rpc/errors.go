package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The codes of the JSON-RPC 2.0 specification, section 5.1.
const (
	CodeParseError     = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternalError  = -32603
)

// Error is the error object of a response. Every typed error of a protocol unwraps to one.
type Error struct {
	Code    int64
	Message string
	Data    json.RawMessage // nil when absent
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// RPCError is e itself.
func (e *Error) RPCError() *Error { return e }

func (e *Error) write(w *Writer) {
	w.Open(nil)
	Put(w, "code", e.Code, WriteInt64)
	Put(w, "message", e.Message, WriteString)
	PutIf(w, "data", e.Data != nil, e.Data, WriteAny)
	w.Close()
}

// Failure is an error that knows the error object its caller is to see. A handler that returns any other
// error is answered for with "Internal error", and its text stays here.
type Failure interface {
	error
	RPCError() *Error
}

// Message is the text an error travels with: its own, or else that of the protocol.
func Message(own, protocol string) string {
	if own != "" {
		return own
	}
	return protocol
}

// ErrNotServed answers a method that a handler does not serve.
var ErrNotServed = &Error{Code: CodeMethodNotFound, Message: "Method not found"}

// ErrorType makes the typed error of one code.
type ErrorType struct {
	Code int64
	New  func(*Error) error
}

// TypedError is the first type's error for the code of e, or e itself.
func TypedError(types []ErrorType, e *Error) error {
	for i := range types {
		if types[i].Code == e.Code {
			return types[i].New(e)
		}
	}
	return e
}

// NewError makes an error object; data is left out where it is nil or has no JSON form.
func NewError[T any](code int64, message string, data *T, write func(T, *Writer)) *Error {
	e := &Error{Code: code, Message: message}
	if data != nil {
		if text, err := Marshal(func(w *Writer) { write(*data, w) }); err == nil {
			e.Data = text
		}
	}
	return e
}

// ErrorData is the data of e as a T, or nil where it is absent or no T.
func ErrorData[T any](e *Error, read func(*T, *Value) error) *T {
	if e.Data == nil {
		return nil
	}
	v := new(T)
	if Unmarshal(e.Data, func(in *Value) error { return read(v, in) }) != nil {
		return nil
	}
	return v
}

// TransportError means that no answer came: the connection failed, or what came was no JSON-RPC response.
// Status is the HTTP status where there was one, else 0. An answer that carries an error is never a
// TransportError.
type TransportError struct {
	Status  int
	Problem string
	Err     error
}

func (e *TransportError) Error() string {
	text := "transport: " + e.Problem
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP status %d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *TransportError) Unwrap() error { return e.Err }

// temporary reports whether another attempt may succeed: not where the server has refused the request itself,
// and not on a connection that is gone.
func (e *TransportError) temporary() bool {
	if errors.Is(e.Err, ErrClosed) {
		return false
	}
	return e.Status < 400 || e.Status == 408 || e.Status == 429 || e.Status >= 500
}

// TimeoutError means that a call took longer than its timeout. It is context.DeadlineExceeded to errors.Is.
type TimeoutError struct {
	Method string
	After  time.Duration // 0 where the deadline was the context's own
}

func (e *TimeoutError) Error() string {
	if e.After == 0 {
		return fmt.Sprintf("%s: the deadline passed", e.Method)
	}
	return fmt.Sprintf("%s: no answer within %s", e.Method, e.After)
}

// Timeout is true, as net.Error wants it.
func (e *TimeoutError) Timeout() bool { return true }

func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// InvalidResultError means that the other side answered with a result, or sent an event, that breaks its
// schema; Err is the *ValidationError.
type InvalidResultError struct {
	Method string
	Err    error
}

func (e *InvalidResultError) Error() string {
	return fmt.Sprintf("%s: invalid result: %s", e.Method, e.Err)
}

func (e *InvalidResultError) Unwrap() error { return e.Err }

// CallbackError means that the other side cannot be called back during this call.
type CallbackError struct {
	Problem string
}

func (e *CallbackError) Error() string { return "callback: " + e.Problem }

// ErrClosed is inside the *TransportError of a call on a connection that is closed, before or while it waits.
var ErrClosed = errors.New("the connection is closed")
