package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// maxBatch is how many messages one batch may hold: enough for any client we know, too few to starve others.
const maxBatch = 100

// Dispatcher finds the handler of a method and stands between it and the wire: it decodes, validates,
// calls, encodes and turns errors into error objects. It is safe for concurrent use once built.
type Dispatcher struct {
	protocol Protocol
	handlers map[string]handler
	report   func(ctx context.Context, method string, err error)
	explain  func(method string, params json.RawMessage, violations []Violation) error
	usage    Usage
	loose    bool // constraints are not checked
}

type handler struct {
	notification bool
	call         func(ctx context.Context, params *Value) ([]byte, error)
}

// DispatcherOption changes how a Dispatcher works.
type DispatcherOption interface{ applyDispatcher(*Dispatcher) }

type dispatcherOption func(*Dispatcher)

func (o dispatcherOption) applyDispatcher(d *Dispatcher) { o(d) }

// WithErrorReport calls report for every failure whose cause the caller is not told: errors that are no
// Failure, panics, results that break their schema, failed notifications.
func WithErrorReport(report func(ctx context.Context, method string, err error)) DispatcherOption {
	return dispatcherOption(func(d *Dispatcher) { d.report = report })
}

// WithExplanation words the refusal of params that break their schema, for protocols that say what such an error
// looks like. Where explain gives nil, it is "Invalid params" with all violations.
func WithExplanation(explain func(method string, params json.RawMessage, violations []Violation) error) DispatcherOption {
	return dispatcherOption(func(d *Dispatcher) { d.explain = explain })
}

// WithUsage says what transports take for a message, for protocols that depart from JSON-RPC 2.0 there.
func WithUsage(usage Usage) DispatcherOption {
	return dispatcherOption(func(d *Dispatcher) { d.usage = usage })
}

// NewDispatcher makes a Dispatcher without handlers.
func NewDispatcher(protocol Protocol, options ...DispatcherOption) *Dispatcher {
	d := &Dispatcher{protocol: protocol, handlers: make(map[string]handler)}
	for _, option := range options {
		option.applyDispatcher(d)
	}
	return d
}

// Handle registers the handler of a request.
func Handle[P, R any](d *Dispatcher, m *Method[P, R], handle func(context.Context, P) (R, error)) {
	d.handlers[m.Name] = handler{call: func(ctx context.Context, params *Value) ([]byte, error) {
		decoded, err := m.incoming(params, d.loose)
		if err != nil {
			return nil, &refusedParams{params: params, violations: violationsOf(err)}
		}
		result, err := handle(ctx, decoded)
		if err != nil || m.Result == nil {
			return []byte("null"), err
		}
		return m.Result.encode(result, d.loose)
	}}
}

// HandleNotification registers the handler of a notification.
func HandleNotification[P any](d *Dispatcher, m *Method[P, None], handle func(context.Context, P) error) {
	Handle(d, m, func(ctx context.Context, params P) (None, error) { return None{}, handle(ctx, params) })
	h := d.handlers[m.Name]
	h.notification = true
	d.handlers[m.Name] = h
}

// HandleStream registers the handler of a request that sends events before its result.
func HandleStream[P, R, E any](d *Dispatcher, m *Method[P, R], events *Codec[E], handle func(context.Context, P, *Emitter[E]) (R, error)) {
	Handle(d, m, func(ctx context.Context, params P) (R, error) {
		return handle(ctx, params, &Emitter[E]{call: CallFrom(ctx), codec: events, results: m.Results, loose: d.loose})
	})
}

// Call is what a handler can learn of the call it serves, beside the params.
type Call struct {
	ID     json.RawMessage // JSON text of the request's id, nil for a notification
	Method string
	Header http.Header // of the HTTP request; empty elsewhere
	object *Value
	back   Transport
	emit   func(event []byte) error // nil: the caller takes no events
}

// Member is the JSON text of a member of the request that stands beside those of JSON-RPC, as it came; nil where
// there is none.
func (c *Call) Member(name string) json.RawMessage {
	if c.object == nil {
		return nil
	}
	if value := c.object.Member(name); value != nil {
		return value.Raw()
	}
	return nil
}

type callKey struct{}

// CallFrom is the call that ctx belongs to. Outside a handler it is an empty one.
func CallFrom(ctx context.Context) *Call {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		return call
	}
	return new(Call)
}

// Back is the way to call the caller back, good for as long as the handler runs. Where there is none, its
// calls fail with *CallbackError.
func Back(ctx context.Context) Transport {
	if back := CallFrom(ctx).back; back != nil {
		return back
	}
	return noWayBack{"there is no call to answer within"}
}

type noWayBack struct{ problem string }

func (n noWayBack) Call(context.Context, *Request, *Exchange) (*Response, error) {
	return nil, &CallbackError{Problem: n.problem}
}

func (n noWayBack) Notify(context.Context, *Request) error { return &CallbackError{Problem: n.problem} }

func (n noWayBack) Close() error { return nil }

// Emitter sends the events of one call to its caller.
type Emitter[E any] struct {
	call    *Call
	codec   *Codec[E]
	results bool
	loose   bool
}

// Wanted reports whether the caller takes events at all.
func (e *Emitter[E]) Wanted() bool { return e.call.emit != nil }

// Emit sends one event. A caller that takes no events is not an error. Errors: an event that breaks its
// schema, or a caller that is gone.
func (e *Emitter[E]) Emit(event E) error {
	if e.call.emit == nil {
		return nil
	}
	text, err := e.codec.encode(event, e.loose)
	if err != nil {
		return err
	}
	if e.results && e.call.ID != nil {
		// What the handler returns is the last of the answers.
		text = encodeResult(string(e.call.ID), text)
	}
	return e.call.emit(text)
}

// serve answers a request, and runs a notification and answers nil.
func (d *Dispatcher) serve(ctx context.Context, m *message, call *Call) []byte {
	call.Method, call.object = m.method, m.object
	if m.kind == requestMessage {
		call.ID = m.id.Raw()
	}
	result, err := d.run(context.WithValue(ctx, callKey{}, call), m)
	if m.kind == notificationMessage {
		return nil
	}
	if err != nil {
		return encodeError(m.idText(), d.failure(ctx, m.method, err))
	}
	return encodeResult(m.idText(), result)
}

func (d *Dispatcher) run(ctx context.Context, m *message) (result []byte, err error) {
	h, ok := d.handlers[m.method]
	// A request sent without an id runs, too: its caller does not want the answer (JSON-RPC 2.0, section 4.1).
	if !ok || h.notification && m.kind == requestMessage {
		return nil, &Error{Code: CodeMethodNotFound, Message: "Method not found"}
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic in the handler: %v", reason)
		}
		if err != nil && m.kind == notificationMessage {
			d.tell(ctx, m.method, err)
		}
	}()
	return h.call(ctx, m.params)
}

// failure is the one place where errors become error objects.
func (d *Dispatcher) failure(ctx context.Context, method string, err error) *Error {
	var refused *refusedParams
	if errors.As(err, &refused) {
		err = refused.explained(method, d.explain)
	}
	var known Failure
	if errors.As(err, &known) {
		return known.RPCError()
	}
	d.tell(ctx, method, err)
	return &Error{Code: CodeInternalError, Message: "Internal error"}
}

// refusedParams means that params break their schema.
type refusedParams struct {
	params     *Value // nil when absent
	violations []Violation
}

func (e *refusedParams) Error() string {
	return (&ValidationError{Type: "params", Errors: e.violations}).Error()
}

// explained is the error to answer with.
func (e *refusedParams) explained(method string, explain func(string, json.RawMessage, []Violation) error) error {
	if explain != nil {
		params := json.RawMessage("{}")
		if e.params != nil {
			params = e.params.Raw()
		}
		if err := explain(method, params, e.violations); err != nil {
			return err
		}
	}
	return invalidParams(e.violations)
}

func (d *Dispatcher) tell(ctx context.Context, method string, err error) {
	if d.report != nil {
		d.report(ctx, method, err)
	}
}

// batch answers a batch, each member with a call of its own. nil: there is nothing to answer.
func (d *Dispatcher) batch(ctx context.Context, list *Value, answer func(*message), newCall func() *Call) []byte {
	if len(list.items) == 0 || len(list.items) > maxBatch {
		return encodeError("null", &Error{Code: CodeInvalidRequest, Message: "Invalid Request"})
	}
	answers := make([][]byte, len(list.items))
	var group sync.WaitGroup
	for i := range list.items {
		m := classify(&list.items[i], d.usage)
		switch m.kind {
		case responseMessage:
			answer(m)
		case invalidMessage:
			answers[i] = encodeError(m.idText(), &Error{Code: CodeInvalidRequest, Message: "Invalid Request"})
		default:
			group.Add(1)
			go func() {
				defer group.Done()
				answers[i] = d.serve(ctx, m, newCall())
			}()
		}
	}
	group.Wait()
	var out []byte
	for _, text := range answers {
		if text == nil {
			continue
		}
		if out == nil {
			out = append(out, '[')
		} else {
			out = append(out, ',')
		}
		out = append(out, text...)
	}
	if out == nil {
		return nil
	}
	return append(out, ']')
}
