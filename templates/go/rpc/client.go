package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"
)

// Transport carries the calls of a client to the other side. *HTTP and *Conn are transports; so is what
// Back returns.
type Transport interface {
	// Call sends a request and returns the response to it. Errors: *TransportError, *CallbackError, ErrClosed,
	// the context's own. A response and an error together mean that the connection broke after the response.
	Call(ctx context.Context, request *Request, exchange *Exchange) (*Response, error)
	// Notify sends a notification.
	Notify(ctx context.Context, request *Request) error
	// Close ends the transport and fails the calls that wait on it.
	Close() error
}

// Exchange is what a transport needs beside the request while a call is under way.
type Exchange struct {
	Protocol *Protocol
	// Handler answers what the other side asks during the call; nil: nothing.
	Handler *Dispatcher
	// Streaming keeps the call open until the other side has sent all events, even after the response.
	Streaming bool
	// Results says that the call is answered more than once: the result of each response is an event, too.
	Results bool
	// Event takes the events of the call one by one; nil: they are dropped.
	Event func(event *Value)
}

// binder is a transport that serves the other side's requests at any time, not only during calls.
type binder interface{ Bind(handler *Dispatcher) }

// Defaults of a client.
const (
	DefaultTimeout = 30 * time.Second
	DefaultRetries = 2
	firstBackoff   = 100 * time.Millisecond
	maxBackoff     = 5 * time.Second
)

// Client makes calls; the clients of a protocol's roles are built on it. It is safe for concurrent use.
type Client struct {
	protocol  Protocol
	transport Transport
	settings  settings
}

type settings struct {
	timeout    time.Duration
	timeoutSet bool
	retries    int
	header     http.Header
	handler    *Dispatcher
	loose      bool // constraints are not checked
}

// ClientOption changes how a client makes its calls.
type ClientOption interface{ applyClient(*settings) }

// CallOption changes how one call is made.
type CallOption interface{ applyCall(*settings) }

// Option changes a client, or one call.
type Option func(*settings)

func (o Option) applyClient(s *settings) { o(s) }
func (o Option) applyCall(s *settings)   { o(s) }

// WithTimeout bounds a call, its retries included; 0 means no bound. The default is DefaultTimeout, and none
// for calls that stream.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout, s.timeoutSet = timeout, true }
}

// WithRetries sets how often a call of an idempotent method is tried again after a failure of the transport;
// 0 turns retries off. The default is DefaultRetries.
func WithRetries(retries int) Option { return func(s *settings) { s.retries = retries } }

// WithHeader adds a header to requests over HTTP.
func WithHeader(name, value string) Option {
	return func(s *settings) {
		s.header = s.header.Clone()
		if s.header == nil {
			s.header = make(http.Header)
		}
		s.header.Add(name, value)
	}
}

// ConstraintsOption is what WithConstraints makes.
type ConstraintsOption bool

// WithConstraints says whether values are held against the constraints of their schemas: bounds of numbers, lengths
// and sizes, patterns, unique items, contains, names of members. They are, unless told otherwise; types are always
// checked. It is an option of a client, of a dispatcher, and of Decode and Validate.
func WithConstraints(checked bool) ConstraintsOption { return ConstraintsOption(checked) }

func (o ConstraintsOption) applyClient(s *settings)       { s.loose = !bool(o) }
func (o ConstraintsOption) applyDecode(s *settings)       { s.loose = !bool(o) }
func (o ConstraintsOption) applyDispatcher(d *Dispatcher) { d.loose = !bool(o) }

type clientOption func(*settings)

func (o clientOption) applyClient(s *settings) { o(s) }

// WithHandler lets the handler serve what the other side calls back.
func WithHandler(handler *Dispatcher) ClientOption {
	return clientOption(func(s *settings) { s.handler = handler })
}

// NewClient makes a client that sends its calls over the transport.
func NewClient(protocol Protocol, transport Transport, options ...ClientOption) *Client {
	c := &Client{protocol: protocol, transport: transport, settings: settings{timeout: DefaultTimeout, retries: DefaultRetries}}
	for _, option := range options {
		option.applyClient(&c.settings)
	}
	if connection, ok := transport.(binder); ok && c.settings.handler != nil {
		connection.Bind(c.settings.handler)
	}
	return c
}

// Close closes the transport.
func (c *Client) Close() error { return c.transport.Close() }

func (c *Client) with(options []CallOption) settings {
	s := c.settings
	for _, option := range options {
		option.applyCall(&s)
	}
	return s
}

// Call is the way around the types: params is anything that Encode takes, nil for none. Errors: *Error for
// an error answered by the other side, else as for the typed methods.
func (c *Client) Call(ctx context.Context, method string, params any, options ...CallOption) (json.RawMessage, error) {
	text, err := rawParams(params)
	if err != nil {
		return nil, err
	}
	response, err := c.call(ctx, &Request{Method: method, Params: text}, &Exchange{}, false, c.with(options))
	if err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, response.Error
	}
	return response.Result.Raw(), nil
}

// Notify sends a notification of any method.
func (c *Client) Notify(ctx context.Context, method string, params any, options ...CallOption) error {
	text, err := rawParams(params)
	if err != nil {
		return err
	}
	return c.notify(ctx, &Request{Method: method, Params: text}, c.with(options))
}

func rawParams(params any) (json.RawMessage, error) {
	text, err := Encode(params)
	if err != nil || string(text) == "null" {
		// Parameters are an array or an object; those of a nil map or pointer are none.
		return nil, err
	}
	return text, nil
}

// Invoke makes a typed call. Errors: the typed errors of the method, *Error for other codes,
// *TransportError, *TimeoutError, *InvalidResultError, and the context's own.
func Invoke[P, R any](ctx context.Context, c *Client, m *Method[P, R], params P, options ...CallOption) (R, error) {
	var none R
	text, err := m.outgoing(params)
	if err != nil {
		return none, err
	}
	exchange := &Exchange{Streaming: m.Streaming, Results: m.Results}
	s := c.with(options)
	response, err := c.call(ctx, &Request{Method: m.Name, Params: text}, exchange, m.Idempotent, s)
	if err != nil {
		return none, err
	}
	return settle(m, response, s.loose)
}

func settle[P, R any](m *Method[P, R], response *Response, loose bool) (R, error) {
	var none R
	if response.Error != nil {
		return none, TypedError(m.Errors, response.Error)
	}
	if m.Result == nil {
		return none, nil
	}
	result, err := m.Result.decode(response.Result, loose)
	if err != nil {
		return none, &InvalidResultError{Method: m.Name, Err: err}
	}
	return result, nil
}

// Send sends a typed notification.
func Send[P any](ctx context.Context, c *Client, m *Method[P, None], params P, options ...CallOption) error {
	text, err := m.outgoing(params)
	if err != nil {
		return err
	}
	return c.notify(ctx, &Request{Method: m.Name, Params: text}, c.with(options))
}

// call makes the attempts of one call and gives errors their type.
func (c *Client) call(ctx context.Context, request *Request, exchange *Exchange, idempotent bool, s settings) (*Response, error) {
	exchange.Protocol, exchange.Handler, request.Header = &c.protocol, s.handler, s.header
	limited, cancel := s.limit(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		request.ID = newID()
		response, err := c.transport.Call(limited, request, exchange)
		// Who has the answer and takes no events misses nothing where the rest of the stream is lost.
		if err == nil || (response != nil && exchange.Event == nil && !exchange.Results) {
			return response, nil
		}
		var failure *TransportError
		again := idempotent && attempt < s.retries && errors.As(err, &failure) && failure.temporary()
		if !again || limited.Err() != nil || !pause(limited, attempt) {
			return nil, s.timely(ctx, limited, request.Method, err)
		}
	}
}

func (c *Client) notify(ctx context.Context, request *Request, s settings) error {
	request.Header = s.header
	limited, cancel := s.limit(ctx)
	defer cancel()
	if err := c.transport.Notify(limited, request); err != nil {
		return s.timely(ctx, limited, request.Method, err)
	}
	return nil
}

func (s *settings) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.timeout)
}

// timely tells a deadline and a cancellation from other errors.
func (s *settings) timely(ctx, limited context.Context, method string, err error) error {
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case ctx.Err() != nil:
		return &TimeoutError{Method: method}
	case limited.Err() != nil:
		return &TimeoutError{Method: method, After: s.timeout}
	}
	return err
}

// pause waits before the next attempt; false when the context ended first.
func pause(ctx context.Context, attempt int) bool {
	wait := min(firstBackoff<<min(attempt, 10), maxBackoff)
	// Half of it at random, so that clients cut off together do not come back together.
	timer := time.NewTimer(wait/2 + rand.N(wait/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventsAhead is how many events may wait for a slow consumer before the connection is read no further.
const eventsAhead = 16

// Stream is a call whose answer is a series of events and a result. Events and Result may be used in either
// order or alone; Close frees a stream that is not read to its end.
type Stream[E, R any] struct {
	events chan streamed[E]
	cancel context.CancelFunc
	done   chan struct{}
	result R
	err    error
}

type streamed[E any] struct {
	event E
	err   error
}

// Open starts a call that streams. Errors come out of the stream.
func Open[P, R, E any](ctx context.Context, c *Client, m *Method[P, R], events *Codec[E], params P, options ...CallOption) *Stream[E, R] {
	s := c.with(options)
	if !s.timeoutSet {
		s.timeout = 0
	}
	ctx, cancel := context.WithCancel(ctx)
	stream := &Stream[E, R]{events: make(chan streamed[E], eventsAhead), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(stream.done)
		defer close(stream.events)
		text, err := m.outgoing(params)
		if err != nil {
			stream.err = err
			return
		}
		told := false
		exchange := &Exchange{Streaming: true, Results: m.Results, Event: func(in *Value) {
			told = true
			stream.push(ctx, m.Name, events, in, s.loose)
		}}
		response, err := c.call(ctx, &Request{Method: m.Name, Params: text}, exchange, false, s)
		if err != nil {
			stream.err = err
			return
		}
		stream.result, stream.err = settle(m, response, s.loose)
		if m.Results && !told && stream.err == nil {
			// The answer came in one piece: it is the only event.
			stream.push(ctx, m.Name, events, response.Result, s.loose)
		}
	}()
	return stream
}

func (s *Stream[E, R]) push(ctx context.Context, method string, codec *Codec[E], in *Value, loose bool) {
	event, err := codec.decode(in, loose)
	if err != nil {
		err = &InvalidResultError{Method: method, Err: err}
	}
	select {
	case s.events <- streamed[E]{event, err}:
	case <-ctx.Done():
	}
}

// Events are the events in the order they came, until the other side has sent all. An event that breaks its
// schema comes as an error, and those after it still follow; a call that fails ends with its error.
func (s *Stream[E, R]) Events() iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for next := range s.events {
			if !yield(next.event, next.err) {
				return
			}
		}
		if <-s.done; s.err != nil {
			var none E
			yield(none, s.err)
		}
	}
}

// Result waits for the end of the call, passing over the events that nobody has read.
func (s *Stream[E, R]) Result() (R, error) {
	for range s.events {
	}
	<-s.done
	return s.result, s.err
}

// Close abandons the call unless it has ended.
func (s *Stream[E, R]) Close() {
	s.cancel()
	<-s.done
}
