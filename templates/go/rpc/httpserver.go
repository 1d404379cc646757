package rpc

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// HTTPHandler serves a dispatcher over HTTP POST, with event streams where a handler calls back or emits
// events. It is an http.Handler; mount it at the protocol's path.
type HTTPHandler struct {
	dispatcher *Dispatcher
	maxBytes   int64
	instance   string

	mu      sync.Mutex
	pending map[string]chan *message // callbacks that wait for their answer, by id
}

// HTTPHandlerOption changes an HTTPHandler.
type HTTPHandlerOption func(*HTTPHandler)

// WithMaxBodyBytes bounds the body of a request, in place of DefaultMaxBytes.
func WithMaxBodyBytes(limit int64) HTTPHandlerOption {
	return func(h *HTTPHandler) { h.maxBytes = limit }
}

// NewHTTPHandler makes an http.Handler of a dispatcher.
func NewHTTPHandler(dispatcher *Dispatcher, options ...HTTPHandlerOption) *HTTPHandler {
	h := &HTTPHandler{dispatcher: dispatcher, maxBytes: DefaultMaxBytes, instance: newID(), pending: make(map[string]chan *message)}
	for _, option := range options {
		option(h)
	}
	return h
}

// ServeHTTP answers one message or batch.
func (h *HTTPHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	health := h.dispatcher.protocol.HealthPath
	if r.Method != http.MethodPost {
		h.serveOther(w, r, health != "" && r.URL.Path == health)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBytes))
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
		}
		return // otherwise the client is gone
	}
	in, err := parseText(string(body))
	switch {
	case err != nil:
		answerJSON(w, http.StatusOK, encodeError("null", &Error{Code: CodeParseError, Message: "Parse error"}))
	case h.dispatcher.usage.isBatch(in):
		h.serveBatch(w, r, in)
	default:
		h.serveMessage(w, r, classify(in, h.dispatcher.usage))
	}
}

func (h *HTTPHandler) serveOther(w http.ResponseWriter, r *http.Request, health bool) {
	if health && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		answerJSON(w, http.StatusOK, []byte(`{"status":"healthy"}`))
		return
	}
	allow := http.MethodPost
	if health {
		allow = "GET, HEAD, POST"
	}
	w.Header().Set("Allow", allow)
	http.Error(w, "use POST", http.StatusMethodNotAllowed)
}

func answerJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

func (h *HTTPHandler) serveMessage(w http.ResponseWriter, r *http.Request, m *message) {
	switch m.kind {
	case invalidMessage:
		answerJSON(w, http.StatusOK, encodeError(m.idText(), &Error{Code: CodeInvalidRequest, Message: "Invalid Request"}))
	case responseMessage:
		if !h.settle(m) {
			answerJSON(w, http.StatusBadRequest, encodeError("null", &Error{Code: CodeInvalidRequest, Message: "Invalid Request"}))
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case notificationMessage:
		// Nobody waits for a notification's outcome, so a caller that leaves does not stop it.
		h.dispatcher.serve(context.WithoutCancel(r.Context()), m, &Call{Header: r.Header})
		w.WriteHeader(http.StatusAccepted)
	case requestMessage:
		s := &session{server: h, w: w, accepts: admitsStream(r.Header)}
		call := &Call{Header: r.Header, back: s}
		if s.accepts {
			call.emit = func(event []byte) error { return s.send(encodeStreamed(event)) }
		}
		s.finish(h.dispatcher.serve(r.Context(), m, call))
	}
}

func (h *HTTPHandler) serveBatch(w http.ResponseWriter, r *http.Request, list *Value) {
	answers := h.dispatcher.batch(r.Context(), list, func(m *message) { h.settle(m) }, func() *Call {
		return &Call{Header: r.Header, back: noWayBack{"a batch leaves no way to call back"}}
	})
	if answers == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	answerJSON(w, http.StatusOK, answers)
}

// settle hands an answer to the callback that waits for it; false where none does.
func (h *HTTPHandler) settle(m *message) bool {
	h.mu.Lock()
	waiting, ok := h.pending[m.id.Text()]
	delete(h.pending, m.id.Text())
	h.mu.Unlock()
	if ok {
		waiting <- m
	}
	return ok
}

// admitsStream reports whether the client takes a text/event-stream.
func admitsStream(header http.Header) bool {
	values := header.Values("Accept")
	if len(values) == 0 {
		return true
	}
	for _, entry := range strings.Split(strings.Join(values, ","), ",") {
		kind, parameters, err := mime.ParseMediaType(strings.TrimSpace(entry))
		if err != nil || kind != "text/event-stream" && kind != "text/*" && kind != "*/*" {
			continue
		}
		if quality, err := strconv.ParseFloat(parameters["q"], 64); parameters["q"] == "" || err == nil && quality > 0 {
			return true
		}
	}
	return false
}

// session is the answer to one request: plain JSON, or from the first callback or event on a stream. It is
// the transport on which the handler calls back.
type session struct {
	server  *HTTPHandler
	accepts bool

	mu    sync.Mutex
	w     http.ResponseWriter
	begun bool
	ended bool
}

// send writes one event and flushes it.
func (s *session) send(event []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("Cache-Control", "no-store")
		if name := s.server.dispatcher.protocol.InstanceHeader; name != "" {
			s.w.Header().Set(name, s.server.instance)
		}
		s.w.WriteHeader(http.StatusOK)
	}
	if _, err := s.w.Write(event); err != nil {
		return &TransportError{Problem: "the caller is gone", Err: err}
	}
	err := http.NewResponseController(s.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return &CallbackError{Problem: "the http.ResponseWriter cannot flush"}
	}
	if err != nil {
		return &TransportError{Problem: "the caller is gone", Err: err}
	}
	return nil
}

// finish writes the response, last.
func (s *session) finish(response []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.begun {
		_, _ = s.w.Write(encodeEvent(response)) // a client that is gone needs no answer
		return
	}
	answerJSON(s.w, http.StatusOK, response)
}

func (s *session) Call(ctx context.Context, request *Request, _ *Exchange) (*Response, error) {
	if !s.accepts {
		return nil, &CallbackError{Problem: "the caller does not accept text/event-stream"}
	}
	answer := make(chan *message, 1)
	s.server.mu.Lock()
	s.server.pending[request.ID] = answer
	s.server.mu.Unlock()
	defer func() {
		s.server.mu.Lock()
		delete(s.server.pending, request.ID)
		s.server.mu.Unlock()
	}()
	if err := s.send(encodeEvent(request.encode())); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		return &m.answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *session) Notify(_ context.Context, request *Request) error {
	if !s.accepts {
		return &CallbackError{Problem: "the caller does not accept text/event-stream"}
	}
	return s.send(encodeEvent(request.encode()))
}

// Close does nothing: the answer ends when the handler returns.
func (s *session) Close() error { return nil }
