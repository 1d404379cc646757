package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"
)

// HTTP is a transport that POSTs every message to one URL. The answer is JSON, or an event stream on which
// the other side may call back before it answers.
type HTTP struct {
	url      string
	client   *http.Client
	header   http.Header
	maxBytes int
}

// HTTPOption changes an HTTP transport.
type HTTPOption func(*HTTP)

// WithHTTPClient sets the client that sends the requests, in place of http.DefaultClient.
func WithHTTPClient(client *http.Client) HTTPOption { return func(t *HTTP) { t.client = client } }

// WithHTTPHeader adds a header to every request.
func WithHTTPHeader(name, value string) HTTPOption {
	return func(t *HTTP) { t.header.Add(name, value) }
}

// WithMaxAnswerBytes bounds one answer or event, in place of DefaultMaxBytes.
func WithMaxAnswerBytes(limit int) HTTPOption { return func(t *HTTP) { t.maxBytes = limit } }

// NewHTTP is a transport to the given URL.
func NewHTTP(url string, options ...HTTPOption) *HTTP {
	t := &HTTP{url: url, client: http.DefaultClient, header: make(http.Header), maxBytes: DefaultMaxBytes}
	for _, option := range options {
		option(t)
	}
	return t
}

// Close lets idle connections go.
func (t *HTTP) Close() error {
	t.client.CloseIdleConnections()
	return nil
}

func (t *HTTP) post(ctx context.Context, body []byte, headers ...http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, &TransportError{Problem: "cannot make the request", Err: err}
	}
	for _, header := range append([]http.Header{t.header}, headers...) {
		for name, values := range header {
			for _, value := range values {
				request.Header.Add(name, value)
			}
		}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	answer, err := t.client.Do(request)
	if err != nil {
		return nil, &TransportError{Problem: "the request failed", Err: err}
	}
	return answer, nil
}

// Notify sends a notification; any 2xx status will do.
func (t *HTTP) Notify(ctx context.Context, request *Request) error {
	answer, err := t.post(ctx, request.encode(), request.Header)
	if err != nil {
		return err
	}
	return t.accepted(answer)
}

// accepted passes over the body of an answer that only has to be a success.
func (t *HTTP) accepted(answer *http.Response) error {
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, int64(t.maxBytes))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return &TransportError{Status: answer.StatusCode, Problem: "the message was refused"}
	}
	return nil
}

// Call sends a request and reads its answer. An answer to our id counts whatever the HTTP status is.
func (t *HTTP) Call(ctx context.Context, request *Request, exchange *Exchange) (*Response, error) {
	answer, err := t.post(ctx, request.encode(), request.Header)
	if err != nil {
		return nil, err
	}
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && kind == "text/event-stream" {
		return t.readStream(ctx, answer, request, exchange)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(t.maxBytes)+1))
	if err != nil {
		return nil, &TransportError{Status: answer.StatusCode, Problem: "the answer broke off", Err: err}
	}
	if len(body) > t.maxBytes {
		return nil, &TransportError{Status: answer.StatusCode, Problem: "the answer is too long", Err: errTooLong}
	}
	in, err := parseText(string(body))
	if err != nil {
		return nil, &TransportError{Status: answer.StatusCode, Problem: "the answer is no JSON", Err: err}
	}
	m := classify(in, Usage{})
	if m.kind == responseMessage && m.id.Text() == request.ID {
		return &m.answer, nil
	}
	refused := &TransportError{Status: answer.StatusCode, Problem: "the answer is no response to the request"}
	if m.kind == responseMessage && m.answer.Error != nil {
		refused.Err = m.answer.Error
	}
	return nil, refused
}

// maxCallbacks is how many callbacks of one call are served at once; more wait in the connection.
const maxCallbacks = 256

// stream is one answer that comes as an event stream.
type stream struct {
	transport *HTTP
	request   *Request
	exchange  *Exchange
	instance  string
	status    int
	slots     chan struct{}
	group     sync.WaitGroup
	cancel    context.CancelCauseFunc
}

func (t *HTTP) readStream(ctx context.Context, answer *http.Response, request *Request, exchange *Exchange) (*Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stream{
		transport: t, request: request, exchange: exchange,
		status: answer.StatusCode, slots: make(chan struct{}, maxCallbacks), cancel: cancel,
	}
	if exchange.Protocol != nil {
		s.instance = answer.Header.Get(exchange.Protocol.InstanceHeader)
	}
	// A callback whose answer cannot be delivered would never end: it breaks the call.
	stop := context.AfterFunc(ctx, func() { _ = answer.Body.Close() })
	response, err := s.read(ctx, answer.Body)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
			err = cause
		}
	}
	stop()
	cancel(nil)
	s.group.Wait()
	if response != nil && err == nil && !exchange.Streaming {
		drain(answer.Body)
		return response, nil
	}
	_ = answer.Body.Close()
	return response, err
}

// drainFor is enough for the end of a stream that follows at once, and not worth waiting for otherwise.
const drainFor = 50 * time.Millisecond

// drain reads what follows the response, so that the connection can be used again; a server that goes on
// sending loses it.
func drain(body io.ReadCloser) {
	timer := time.AfterFunc(drainFor, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	timer.Stop()
	_ = body.Close()
}

func (s *stream) read(ctx context.Context, body io.Reader) (*Response, error) {
	reader := newEventReader(body, s.transport.maxBytes)
	var response *Response
	for {
		event, err := reader.next()
		if errors.Is(err, io.EOF) {
			if response == nil {
				return nil, &TransportError{Status: s.status, Problem: "the stream ended before the response"}
			}
			return response, nil
		}
		if err != nil {
			return response, &TransportError{Status: s.status, Problem: "the stream broke off", Err: err}
		}
		in, err := parseText(string(event.data))
		if err != nil {
			return response, &TransportError{Status: s.status, Problem: "an event is no JSON", Err: err}
		}
		if (event.name != "" && event.name != "message") || in.Member("jsonrpc") == nil {
			if s.exchange.Event != nil {
				value, err := streamedValue(event.name, in)
				if err != nil {
					return response, &TransportError{Status: s.status, Problem: "an event is no JSON", Err: err}
				}
				s.exchange.Event(value)
			}
			continue
		}
		if m := classify(in, Usage{}); m.kind != responseMessage {
			s.serve(ctx, m)
		} else if m.id.Text() == s.request.ID {
			response = &m.answer
			if s.exchange.Results && s.exchange.Event != nil && response.Error == nil {
				s.exchange.Event(response.Result)
			}
			if !s.exchange.Streaming {
				return response, nil
			}
		}
	}
}

// serve runs a callback while the stream is read on, and POSTs its answer.
func (s *stream) serve(ctx context.Context, m *message) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	s.group.Add(1)
	go func() {
		defer s.group.Done()
		defer func() { <-s.slots }()
		handler := s.exchange.Handler
		if handler == nil {
			handler = noHandler
		}
		var text []byte
		if m.kind == invalidMessage {
			text = encodeError(m.idText(), &Error{Code: CodeInvalidRequest, Message: "Invalid Request"})
		} else {
			text = handler.serve(ctx, m, &Call{})
		}
		if text == nil || ctx.Err() != nil {
			return
		}
		header := make(http.Header)
		if s.instance != "" {
			header.Set(s.exchange.Protocol.InstanceHeader, s.instance)
		}
		answer, err := s.transport.post(ctx, text, header, s.request.Header)
		if err == nil {
			err = s.transport.accepted(answer)
		}
		if err != nil && ctx.Err() == nil {
			s.cancel(fmt.Errorf("the answer to callback %q was not delivered: %w", m.method, err))
		}
	}()
}

// noHandler answers callbacks where the client was given no handler.
var noHandler = NewDispatcher(Protocol{})
