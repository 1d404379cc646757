package echo_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"protogen.test/sdk/echo"
	"protogen.test/sdk/echo/rpc"
)

const soon = 5 * time.Second

// server is the role under test; cancelled tells of every Sleep that saw its end coming.
type server struct {
	echo.UnimplementedServerHandler
	cancelled chan error
	notified  chan echo.NotifyParams
	calls     atomic.Int32
}

func newServer() *server {
	return &server{cancelled: make(chan error, 100), notified: make(chan echo.NotifyParams, 100)}
}

func (s *server) Echo(_ context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	s.calls.Add(1)
	return echo.EchoResult{Value: params.Value}, nil
}

func (s *server) Add(_ context.Context, params echo.AddParams) (echo.AddResult, error) {
	if params.A == "0" {
		return echo.AddResult{}, &echo.SumOutOfRangeError{}
	}
	return echo.AddResult{Sum: params.A + "0" + params.B}, nil
}

func (s *server) Fail(_ context.Context, params echo.FailParams) (echo.FailResult, error) {
	switch params.Message {
	case "panic":
		panic("a secret")
	case "plain":
		return echo.FailResult{}, errors.New("a secret")
	case "typed":
		return echo.FailResult{}, fmt.Errorf("wrapped: %w", &echo.SleepTooLongError{Data: &echo.SleepTooLongData{Maximum: "1.50"}})
	}
	return echo.FailResult{}, &rpc.Error{Code: params.Code, Message: params.Message, Data: params.Data}
}

func (s *server) Sleep(ctx context.Context, params echo.SleepParams) (echo.SleepResult, error) {
	if params.Seconds == "0" {
		return echo.SleepResult{Slept: "-1"}, nil // breaks its schema
	}
	select {
	case <-ctx.Done():
		s.cancelled <- ctx.Err()
		return echo.SleepResult{}, ctx.Err()
	case <-time.After(30 * time.Second):
		return echo.SleepResult{}, errors.New("nobody cancelled")
	}
}

func (s *server) Count(_ context.Context, params echo.CountParams, events *rpc.Emitter[echo.CountEvent]) (echo.CountResult, error) {
	for i := int64(1); i <= params.To; i++ {
		if err := events.Emit(echo.CountEvent{Number: i}); err != nil {
			return echo.CountResult{}, err
		}
	}
	return echo.CountResult{Counted: params.To}, nil
}

// Callback asks the client several times at once and joins what it says.
func (s *server) Callback(ctx context.Context, params echo.CallbackParams) (echo.CallbackResult, error) {
	client := echo.ClientFrom(ctx, rpc.WithTimeout(soon))
	if params.Method != "client/echo" {
		_, err := client.Call(ctx, params.Method, params.Params)
		var failed *rpc.Error
		if errors.As(err, &failed) {
			return echo.CallbackResult{}, &echo.CallbackFailedError{Data: &echo.CallbackFailedData{Code: failed.Code, Message: failed.Message}}
		}
		return echo.CallbackResult{}, err
	}
	answers := make([]json.RawMessage, 20)
	var group sync.WaitGroup
	for i := range answers {
		group.Add(1)
		go func() {
			defer group.Done()
			result, err := client.ClientEcho(ctx, echo.EchoParams{Value: json.RawMessage(fmt.Sprintf(`["é😀",%d]`, i))})
			if err == nil {
				answers[i] = result.Value
			}
		}()
	}
	group.Wait()
	text, err := rpc.Encode(answers)
	return echo.CallbackResult{Result: text}, err
}

func (s *server) Notify(_ context.Context, params echo.NotifyParams) error {
	s.notified <- params
	return errors.New("for nobody")
}

type client struct{}

func (client) ClientEcho(_ context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	return echo.EchoResult{Value: params.Value}, nil
}

// carriers are the ways between a client and a server that must make no difference.
var carriers = map[string]func(*testing.T, *server) rpc.Transport{
	"http": func(t *testing.T, s *server) rpc.Transport {
		return rpc.NewHTTP(serve(t, s))
	},
	"pipe": func(t *testing.T, s *server) rpc.Transport {
		near, far := net.Pipe()
		there := rpc.NewConn(far, far, echo.NewServerDispatcher(s))
		here := rpc.NewConn(near, near, nil)
		for _, conn := range []*rpc.Conn{there, here} {
			go func() { _ = conn.Run(context.Background()) }()
		}
		t.Cleanup(func() { _, _ = here.Close(), there.Close() })
		return here
	},
}

func serve(t *testing.T, s *server) string {
	t.Helper()
	there := httptest.NewServer(rpc.NewHTTPHandler(echo.NewServerDispatcher(s)))
	t.Cleanup(there.Close)
	return there.URL
}

func everywhere(t *testing.T, test func(*testing.T, *echo.ServerClient, *server)) {
	for name, carry := range carriers {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			test(t, echo.NewServerClient(carry(t, s), echo.WithClientHandler(client{})), s)
		})
	}
}

func TestValuesComeBackUnchanged(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		for _, text := range []string{`null`, `{}`, `123456789012345678901234567890`, `"\u0000\u2028é😀"`, `[1.0,{"a":[]}]`} {
			result, err := c.Echo(t.Context(), echo.EchoParams{Value: json.RawMessage(text)})
			if err != nil || string(result.Value) != text {
				t.Errorf("%s: got %s, %v", text, result.Value, err)
			}
		}
	})
}

func TestExtraMembersTravel(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, s *server) {
		extra := map[string]json.RawMessage{"x": json.RawMessage(" [ 1 ] ")}
		if err := c.Notify(t.Context(), echo.NotifyParams{Topic: "t", Extra: extra}); err != nil {
			t.Fatal(err)
		}
		got := <-s.notified
		if string(got.Extra["x"]) != "[1]" || got.Level != nil || got.LevelOrDefault() != echo.LevelInfo {
			t.Errorf("got %+v", got)
		}
	})
}

func TestErrorsKeepTheirTypes(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		_, err := c.Fail(t.Context(), echo.FailParams{Code: 1, Message: "typed"})
		var typed *echo.SleepTooLongError
		if !errors.As(err, &typed) || typed.Data == nil || typed.Data.Maximum != "1.50" || typed.Message != "Sleep too long" {
			t.Errorf("got %#v", err)
		}
		var plain *rpc.Error
		if !errors.As(err, &plain) || plain.Code != echo.CodeSleepTooLong {
			t.Errorf("got %#v", plain)
		}
		_, err = c.Add(t.Context(), echo.AddParams{A: "0", B: "1"})
		var outOfRange *echo.SumOutOfRangeError
		if !errors.As(err, &outOfRange) || outOfRange.Data != nil {
			t.Errorf("got %#v", err)
		}
		_, err = c.Fail(t.Context(), echo.FailParams{Code: 77, Message: "m", Data: json.RawMessage(`{"a":null}`)})
		if want := (&rpc.Error{Code: 77, Message: "m", Data: json.RawMessage(`{"a":null}`)}); !reflect.DeepEqual(err, error(want)) {
			t.Errorf("got %#v", err)
		}
	})
}

func TestSecretsStayOnTheServer(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		for _, message := range []string{"panic", "plain"} {
			_, err := c.Fail(t.Context(), echo.FailParams{Code: 1, Message: message})
			if want := (&rpc.Error{Code: rpc.CodeInternalError, Message: "Internal error"}); !reflect.DeepEqual(err, error(want)) {
				t.Errorf("%s: got %#v", message, err)
			}
		}
	})
}

func TestInvalidParamsAreListed(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		_, err := c.Call(t.Context(), echo.FailMethod, map[string]any{"code": "x"})
		want := &rpc.Error{Code: rpc.CodeInvalidParams, Message: "Invalid params", Data: json.RawMessage(
			`{"errors":[{"path":"$","message":"the required member \"message\" is missing"},{"path":"$.code","message":"expected integer, got string"}]}`)}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("got %#v", err)
		}
		_, err = c.Call(t.Context(), "no/such", nil)
		if want := (&rpc.Error{Code: rpc.CodeMethodNotFound, Message: "Method not found"}); !reflect.DeepEqual(err, error(want)) {
			t.Errorf("got %#v", err)
		}
	})
}

func TestRefusalsOfParamsCanBeWorded(t *testing.T) {
	explain := func(method string, params json.RawMessage, violations []rpc.Violation) error {
		if method != echo.AddMethod {
			return nil
		}
		text := fmt.Sprintf(`{"params":%s,"first":%q}`, params, violations[0].Path)
		return &rpc.Error{Code: rpc.CodeInvalidParams, Message: "Bad sum", Data: json.RawMessage(text)}
	}
	handler := rpc.NewHTTPHandler(echo.NewServerDispatcher(newServer(), rpc.WithExplanation(explain)))
	web := httptest.NewServer(handler)
	defer web.Close()
	client := echo.NewServerClient(rpc.NewHTTP(web.URL))
	defer client.Close()
	_, err := client.Call(t.Context(), echo.AddMethod, map[string]any{"a": 1, "b": "x"})
	want := &rpc.Error{Code: rpc.CodeInvalidParams, Message: "Bad sum", Data: json.RawMessage(`{"params":{"a":1,"b":"x"},"first":"$.b"}`)}
	if !reflect.DeepEqual(err, error(want)) {
		t.Errorf("got %#v", err)
	}
	_, err = client.Call(t.Context(), echo.EchoMethod, nil)
	if refused := new(rpc.Error); !errors.As(err, &refused) || refused.Message != "Invalid params" {
		t.Errorf("got %#v", err)
	}
}

func TestProtocolsMayDepartFromTheStandard(t *testing.T) {
	usage := rpc.Usage{NoBatches: true, PlainIDs: true, Lenient: true}
	handler := rpc.NewHTTPHandler(echo.NewServerDispatcher(newServer(), rpc.WithUsage(usage)))
	refused := `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`
	unknown := `{"jsonrpc":"2.0","id":7.0,"error":{"code":-32601,"message":"Method not found"}}`
	for body, want := range map[string]string{
		"[" + one + "]": refused,
		`{"jsonrpc":"2.0","id":1.5,"method":"nope"}`:                refused,
		`{"jsonrpc":"2.0","id":null,"method":"nope"}`:               refused,
		`{"id":7.0,"method":"nope","params":null}`:                  unknown,
		`{"jsonrpc":"1.0","id":7,"method":"nope"}`:                  strings.Replace(refused, "null", "7", 1),
		`{"id":7,"method":"echo","params":{"value":null}}`:          `{"jsonrpc":"2.0","id":7,"result":{"value":null}}`,
		`{"jsonrpc":"2.0","id":7,"method":"nope","params":"value"}`: strings.Replace(refused, "null", "7", 1),
	} {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if got := answer.Body.String(); got != want {
			t.Errorf("%s: got %s", body, got)
		}
	}
}

type members struct {
	echo.UnimplementedServerHandler
}

func (members) Echo(ctx context.Context, _ echo.EchoParams) (echo.EchoResult, error) {
	call := rpc.CallFrom(ctx)
	if call.Member("nothing") != nil {
		return echo.EchoResult{}, errors.New("a member that is not there")
	}
	return echo.EchoResult{Value: call.Member("metadata")}, nil
}

func TestHandlersReadMembersOfTheRequest(t *testing.T) {
	handler := rpc.NewHTTPHandler(echo.NewServerDispatcher(members{}))
	body := `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1},"metadata":{"a":[1.0]}}`
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if got, want := answer.Body.String(), `{"jsonrpc":"2.0","id":1,"result":{"value":{"a":[1.0]}}}`; got != want {
		t.Errorf("got %s", got)
	}
	if call := rpc.CallFrom(t.Context()); call.Member("metadata") != nil {
		t.Error("a member outside of a call")
	}
}

func TestRequestsSentWithoutIDRun(t *testing.T) {
	s := newServer()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"jsonrpc":"2.0","method":"echo","params":{"value":1}}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	rpc.NewHTTPHandler(echo.NewServerDispatcher(s)).ServeHTTP(answer, request)
	if answer.Code != http.StatusAccepted || answer.Body.Len() != 0 || s.calls.Load() != 1 {
		t.Errorf("got %d %q after %d calls", answer.Code, answer.Body, s.calls.Load())
	}
}

func TestResultsThatBreakTheirSchemaStayInside(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		_, err := c.Sleep(t.Context(), echo.SleepParams{Seconds: "0"})
		if want := (&rpc.Error{Code: rpc.CodeInternalError, Message: "Internal error"}); !reflect.DeepEqual(err, error(want)) {
			t.Errorf("got %#v", err)
		}
	})
}

func TestParamsByPosition(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		result, err := c.Call(t.Context(), echo.AddMethod, []int{1, 2})
		if err != nil || string(result) != `{"sum":102}` {
			t.Errorf("got %s, %v", result, err)
		}
		for _, params := range [][]int{{1}, {1, 2, 3}} {
			_, err := c.Call(t.Context(), echo.AddMethod, params)
			var refused *rpc.Error
			if !errors.As(err, &refused) || refused.Code != rpc.CodeInvalidParams {
				t.Errorf("%v: got %v", params, err)
			}
		}
	})
}

func TestTheServerCallsBackManyTimesAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, _ *server) {
		result, err := c.Callback(t.Context(), echo.CallbackParams{Method: "client/echo"})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf(`["é😀",%d]`, i))
		}
		if got := string(result.Result); got != "["+strings.Join(want, ",")+"]" {
			t.Errorf("got %s", got)
		}
		_, err = c.Callback(t.Context(), echo.CallbackParams{Method: "no/such"})
		var failed *echo.CallbackFailedError
		if !errors.As(err, &failed) || failed.Data.Code != rpc.CodeMethodNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnAbandonedCallIsCancelledOnTheServer(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, s *server) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := c.Sleep(ctx, echo.SleepParams{Seconds: "9"})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		awaitCancelled(t, s)
		_, err = c.Sleep(t.Context(), echo.SleepParams{Seconds: "9"}, rpc.WithTimeout(50*time.Millisecond), rpc.WithRetries(0))
		var late *rpc.TimeoutError
		if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || late.After != 50*time.Millisecond {
			t.Errorf("got %#v", err)
		}
		awaitCancelled(t, s)
		if _, err := c.Echo(t.Context(), echo.EchoParams{}); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

func awaitCancelled(t *testing.T, s *server) {
	t.Helper()
	select {
	case err := <-s.cancelled:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the handler saw %v", err)
		}
	case <-time.After(soon):
		t.Fatal("the handler was not cancelled")
	}
}

func TestCallsOverlap(t *testing.T) {
	everywhere(t, func(t *testing.T, c *echo.ServerClient, s *server) {
		ctx, cancel := context.WithCancel(t.Context())
		slow := make(chan struct{})
		go func() {
			_, _ = c.Sleep(ctx, echo.SleepParams{Seconds: "9"})
			close(slow)
		}()
		for range 50 {
			if _, err := c.Echo(t.Context(), echo.EchoParams{}); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		<-slow
	})
}

func TestEventsThenTheResult(t *testing.T) {
	s := newServer()
	c := echo.NewServerClient(rpc.NewHTTP(serve(t, s)))
	stream := c.CountStream(t.Context(), echo.CountParams{To: 100})
	var got []int64
	for event, err := range stream.Events() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.Number)
	}
	result, err := stream.Result()
	if err != nil || result.Counted != 100 || len(got) != 100 || got[99] != 100 {
		t.Errorf("got %v, %v, %v", got, result, err)
	}
	plain, err := c.Count(t.Context(), echo.CountParams{To: 100})
	if err != nil || plain.Counted != 100 {
		t.Errorf("without events: %v, %v", plain, err)
	}
	early := c.CountStream(t.Context(), echo.CountParams{To: 1 << 40})
	for range early.Events() {
		break
	}
	early.Close()
	if _, err := early.Result(); !errors.Is(err, context.Canceled) {
		t.Errorf("an abandoned stream: %v", err)
	}
}

func TestEventsAreDroppedWhereNoneCanTravel(t *testing.T) {
	c := echo.NewServerClient(carriers["pipe"](t, newServer()))
	if result, err := c.Count(t.Context(), echo.CountParams{To: 3}); err != nil || result.Counted != 3 {
		t.Errorf("got %v, %v", result, err)
	}
}

// exchange is what one HTTP request gets.
type exchange struct {
	name, method, path, contentType, accept, body string
	status                                        int
	answer                                        string
}

const one = `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}`

var exchanges = []exchange{
	{name: "request", body: one, status: 200, answer: `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
	{name: "content type with parameter", contentType: "application/json; charset=utf-8", body: one, status: 200, answer: `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
	{name: "ids as they came", body: `{"jsonrpc":"2.0","id":"\u0041\/","method":"echo","params":{"value":1}}`, status: 200, answer: `{"jsonrpc":"2.0","id":"\u0041\/","result":{"value":1}}`},
	{name: "null id", body: `{"jsonrpc":"2.0","id":null,"method":"nope"}`, status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}`},
	{name: "broken JSON", body: `{"jsonrpc"`, status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
	{name: "invalid UTF-8", body: "\"\xff\"", status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
	{name: "no version", body: `{"id":1,"method":"echo"}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "an id that is none", body: `{"jsonrpc":"2.0","id":{},"method":"echo"}`, status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "null params", body: `{"jsonrpc":"2.0","id":1,"method":"echo","params":null}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "a call that is an answer, too", body: `{"jsonrpc":"2.0","id":1,"method":"echo","result":1}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "a fractional id", body: `{"jsonrpc":"2.0","id":1.50,"method":"nope"}`, status: 200, answer: `{"jsonrpc":"2.0","id":1.50,"error":{"code":-32601,"message":"Method not found"}}`},
	{name: "scalar params", body: `{"jsonrpc":"2.0","id":1,"method":"echo","params":3}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "a scalar", body: `3`, status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "notification", body: `{"jsonrpc":"2.0","method":"notify","params":{"topic":"t"}}`, status: 202},
	{name: "broken notification", body: `{"jsonrpc":"2.0","method":"notify","params":{}}`, status: 202},
	{name: "unknown notification", body: `{"jsonrpc":"2.0","method":"nope"}`, status: 202},
	{name: "request sent as a notification", body: `{"jsonrpc":"2.0","method":"echo","params":{"value":1}}`, status: 202},
	{name: "notification sent as a request", body: `{"jsonrpc":"2.0","id":1,"method":"notify","params":{"topic":"t"}}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`},
	{name: "answer to nothing", body: `{"jsonrpc":"2.0","id":"x","result":1}`, status: 400, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "batch", body: "[" + one + `,3,{"jsonrpc":"2.0","method":"notify","params":{"topic":"t"}},` + one + "]", status: 200,
		answer: `[{"jsonrpc":"2.0","id":1,"result":{"value":1}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}},{"jsonrpc":"2.0","id":1,"result":{"value":1}}]`},
	{name: "batch of notifications", body: `[{"jsonrpc":"2.0","method":"notify","params":{"topic":"t"}}]`, status: 202},
	{name: "empty batch", body: `[]`, status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "batch of 101", body: "[" + strings.Repeat("1,", 100) + "1]", status: 200, answer: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
	{name: "GET", method: "GET", status: 405, answer: "use POST\n"},
	{name: "health", method: "GET", path: "/health", status: 200, answer: `{"status":"healthy"}`},
	{name: "DELETE of health", method: "DELETE", path: "/health", status: 405, answer: "use POST\n"},
	{name: "text", contentType: "text/plain", body: one, status: 415, answer: "the content type must be application/json\n"},
	{name: "no content type", contentType: "-", body: one, status: 415, answer: "the content type must be application/json\n"},
	{name: "a long body", body: `"` + strings.Repeat("x", 2000) + `"`, status: 413, answer: "the body is too long\n"},
	{name: "callback without a stream", accept: "application/json", body: `{"jsonrpc":"2.0","id":1,"method":"callback","params":{"method":"x"}}`, status: 200,
		answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`},
	{name: "callback where streams are refused", accept: "text/event-stream;q=0, application/json", body: `{"jsonrpc":"2.0","id":1,"method":"callback","params":{"method":"x"}}`, status: 200,
		answer: `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`},
	{name: "events without a stream", accept: "application/json", body: `{"jsonrpc":"2.0","id":1,"method":"count","params":{"to":2}}`, status: 200, answer: `{"jsonrpc":"2.0","id":1,"result":{"counted":2}}`},
	{name: "events", accept: "text/*", body: `{"jsonrpc":"2.0","id":1,"method":"count","params":{"to":2}}`, status: 200,
		answer: "data: {\"number\":1}\n\ndata: {\"number\":2}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"counted\":2}}\n\n"},
	{name: "long integers", body: `{"jsonrpc":"2.0","id":12345678901234567890123,"method":"count","params":{"to":1.0}}`, accept: "application/json", status: 200, answer: `{"jsonrpc":"2.0","id":12345678901234567890123,"result":{"counted":1}}`},
}

func TestTheServerOverHTTP(t *testing.T) {
	there := httptest.NewServer(rpc.NewHTTPHandler(echo.NewServerDispatcher(newServer()), rpc.WithMaxBodyBytes(1000)))
	defer there.Close()
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			if x.method == "" {
				x.method = "POST"
			}
			request, _ := http.NewRequest(x.method, there.URL+x.path, strings.NewReader(x.body))
			request.Header.Set("Content-Type", "application/json")
			if x.contentType != "" {
				request.Header.Set("Content-Type", strings.TrimPrefix(x.contentType, "-"))
			}
			if x.accept != "" {
				request.Header.Set("Accept", x.accept)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != x.status || string(body) != x.answer {
				t.Errorf("got %d %q", answer.StatusCode, body)
			}
			if x.status == 405 && answer.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestDeepMessagesAreRefusedNotFatal(t *testing.T) {
	url := serve(t, newServer())
	body := strings.Repeat("[", 1<<20)
	answer, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); !bytes.Contains(text, []byte("-32700")) {
		t.Errorf("got %s", text)
	}
}

// scripted answers with what a test says, as a server of another make might.
func scripted(t *testing.T, answer func(w http.ResponseWriter, id string, attempt int)) *echo.ServerClient {
	t.Helper()
	var attempts atomic.Int32
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			ID     string
			Method string
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || r.Header.Get("Accept") != "application/json, text/event-stream" {
			t.Errorf("an unexpected request: %v, %v", r.Header, err)
		}
		if message.Method == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer(w, message.ID, int(attempts.Add(1)))
	}))
	t.Cleanup(there.Close)
	return echo.NewServerClient(rpc.NewHTTP(there.URL), echo.WithClientHandler(client{}))
}

func TestAnAnswerCountsWhateverTheStatus(t *testing.T) {
	c := scripted(t, func(w http.ResponseWriter, id string, _ int) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%q,"result":{"value":[]}}`, id)
	})
	if result, err := c.Echo(t.Context(), echo.EchoParams{}); err != nil || string(result.Value) != "[]" {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestWhatIsNoAnswerIsATransportError(t *testing.T) {
	bodies := []string{"", "{}", "<html>", `{"jsonrpc":"2.0","id":"other","result":{}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`}
	for _, body := range bodies {
		c := scripted(t, func(w http.ResponseWriter, _ string, _ int) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, body)
		})
		_, err := c.Echo(t.Context(), echo.EchoParams{})
		var failure *rpc.TransportError
		if !errors.As(err, &failure) || failure.Status != http.StatusTeapot {
			t.Errorf("%q: got %v", body, err)
		}
	}
	nowhere := echo.NewServerClient(rpc.NewHTTP("http://127.0.0.1:1/"))
	_, err := nowhere.Echo(t.Context(), echo.EchoParams{}, rpc.WithRetries(0))
	var failure *rpc.TransportError
	if !errors.As(err, &failure) || failure.Status != 0 {
		t.Errorf("got %v", err)
	}
}

func TestIdempotentMethodsAreTriedAgain(t *testing.T) {
	var count atomic.Int32
	answer := func(w http.ResponseWriter, id string, attempt int) {
		count.Store(int32(attempt))
		if attempt < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%q,"result":{"value":1}}`, id)
	}
	if _, err := scripted(t, answer).Echo(t.Context(), echo.EchoParams{}); err != nil || count.Load() != 3 {
		t.Errorf("got %v after %d attempts", err, count.Load())
	}
	if _, err := scripted(t, answer).Echo(t.Context(), echo.EchoParams{}, rpc.WithRetries(0)); err == nil || count.Load() != 1 {
		t.Errorf("retries off: %v after %d attempts", err, count.Load())
	}
	if _, err := scripted(t, answer).Fail(t.Context(), echo.FailParams{}); err == nil || count.Load() != 1 {
		t.Errorf("not idempotent: %v after %d attempts", err, count.Load())
	}
	refuse := func(w http.ResponseWriter, _ string, attempt int) {
		count.Store(int32(attempt))
		w.WriteHeader(http.StatusUnauthorized)
	}
	if _, err := scripted(t, refuse).Echo(t.Context(), echo.EchoParams{}); err == nil || count.Load() != 1 {
		t.Errorf("refused: %v after %d attempts", err, count.Load())
	}
}

func TestAResultThatBreaksItsSchemaIsTyped(t *testing.T) {
	c := scripted(t, func(w http.ResponseWriter, id string, _ int) {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%q,"result":{"valu":1}}`, id)
	})
	_, err := c.Echo(t.Context(), echo.EchoParams{})
	var invalid *rpc.InvalidResultError
	var reasons *rpc.ValidationError
	if !errors.As(err, &invalid) || !errors.As(err, &reasons) || len(reasons.Errors) != 1 {
		t.Errorf("got %#v", err)
	}
}

// stream sends text byte by byte, so that every character is split over chunks somewhere.
func stream(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, b := range []byte(text) {
		_, _ = w.Write([]byte{b})
		w.(http.Flusher).Flush()
	}
}

func TestEveryLegalStreamIsUnderstood(t *testing.T) {
	texts := map[string]string{
		"LF":            "data: {\"jsonrpc\":\"2.0\",\"id\":%q,\"result\":{\"value\":\"é😀\"}}\n\n",
		"CRLF":          ": hello\r\n\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":%q,\r\ndata: \"result\":{\"value\":\"é😀\"}}\r\nid: 7\r\n\r\n",
		"CR":            "retry: 10\r\rdata:{\"jsonrpc\":\"2.0\",\"id\":%q,\rdata:\"result\":{\"value\":\"é😀\"}}\r\r",
		"byte mark":     "\ufeffdata:{\"jsonrpc\":\"2.0\",\"id\":%q,\"result\":{\"value\":\"é😀\"}}\n\n",
		"others first":  "data: {\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":1}\n\ndata: 3\n\nevent: junk\ndata: {}\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"nope\"}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":%q,\"result\":{\"value\":\"é😀\"}}\n\n",
		"rubbish after": "data: {\"jsonrpc\":\"2.0\",\"id\":%q,\"result\":{\"value\":\"é😀\"}}\n\ndata: {{{\n\n",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			c := scripted(t, func(w http.ResponseWriter, id string, _ int) { stream(w, fmt.Sprintf(text, id)) })
			result, err := c.Echo(t.Context(), echo.EchoParams{}, rpc.WithTimeout(soon))
			if err != nil || string(result.Value) != `"é😀"` {
				t.Errorf("got %s, %v", result.Value, err)
			}
		})
	}
	for name, text := range map[string]string{"empty": "", "cut off": "data: {\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"result\":{}}\n", "no JSON": "data: {\n\n"} {
		t.Run(name, func(t *testing.T) {
			c := scripted(t, func(w http.ResponseWriter, id string, _ int) { stream(w, strings.ReplaceAll(text, "%s", id)) })
			_, err := c.Echo(t.Context(), echo.EchoParams{}, rpc.WithRetries(0))
			var failure *rpc.TransportError
			if !errors.As(err, &failure) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEventsMayFollowTheResponse(t *testing.T) {
	c := scripted(t, func(w http.ResponseWriter, id string, _ int) {
		stream(w, fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%q,\"result\":{\"counted\":2}}\n\ndata: {\"number\":1}\n\ndata: {\"numbe\":1}\n\nevent: tick\ndata: 3\n\n", id))
	})
	events := c.CountStream(t.Context(), echo.CountParams{})
	var got []string
	for event, err := range events.Events() {
		got = append(got, fmt.Sprint(event.Number, " ", err))
	}
	want := []string{
		"1 <nil>",
		`0 count: invalid result: not a valid CountEvent; $: the required member "number" is missing`,
		`0 count: invalid result: not a valid CountEvent; $: the required member "number" is missing`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if result, err := events.Result(); err != nil || result.Counted != 2 {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestACallbackThatCannotBeAnsweredBreaksTheCall(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(`"result"`)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"client/echo\",\"params\":{\"value\":1}}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer there.Close()
	c := echo.NewServerClient(rpc.NewHTTP(there.URL), echo.WithClientHandler(client{}))
	_, err := c.Callback(t.Context(), echo.CallbackParams{Method: "x"}, rpc.WithTimeout(soon))
	var failure *rpc.TransportError
	if !errors.As(err, &failure) || failure.Status != http.StatusBadRequest {
		t.Errorf("got %v", err)
	}
}

func TestTheInstanceHeaderComesBack(t *testing.T) {
	s := newServer()
	handler := rpc.NewHTTPHandler(echo.NewServerDispatcher(s))
	var seen sync.Map
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Jsonrpc-Instance-Id"), true)
		handler.ServeHTTP(w, r)
	}))
	defer there.Close()
	c := echo.NewServerClient(rpc.NewHTTP(there.URL), echo.WithClientHandler(client{}))
	if _, err := c.Callback(t.Context(), echo.CallbackParams{Method: "client/echo"}); err != nil {
		t.Fatal(err)
	}
	count := 0
	seen.Range(func(key, _ any) bool {
		count++
		return key == "" || len(key.(string)) == 32
	})
	if count != 2 {
		t.Errorf("%d different headers", count)
	}
}

func TestHeadersAndTheCallReachTheHandler(t *testing.T) {
	got := make(chan *rpc.Call, 1)
	handler := spy{got: got}
	there := httptest.NewServer(rpc.NewHTTPHandler(echo.NewServerDispatcher(handler)))
	defer there.Close()
	c := echo.NewServerClient(rpc.NewHTTP(there.URL, rpc.WithHTTPHeader("X-A", "1")), rpc.WithHeader("X-B", "2"))
	if _, err := c.Echo(t.Context(), echo.EchoParams{}, rpc.WithHeader("X-C", "3")); err != nil {
		t.Fatal(err)
	}
	call := <-got
	if call.Method != "echo" || len(call.ID) != 34 || call.Header.Get("X-A")+call.Header.Get("X-B")+call.Header.Get("X-C") != "123" {
		t.Errorf("got %+v", call)
	}
	if call := rpc.CallFrom(t.Context()); call.Method != "" || call.ID != nil {
		t.Errorf("outside a handler: %+v", call)
	}
	var none *rpc.CallbackError
	if _, err := echo.ClientFrom(t.Context()).ClientEcho(t.Context(), echo.EchoParams{}); !errors.As(err, &none) {
		t.Errorf("outside a handler: %v", err)
	}
}

type spy struct {
	echo.UnimplementedServerHandler
	got chan *rpc.Call
}

func (s spy) Echo(ctx context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	s.got <- rpc.CallFrom(ctx)
	return echo.EchoResult{Value: params.Value}, nil
}

func TestLinesThatAreNoMessages(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	conn := rpc.NewConn(far, far, echo.NewServerDispatcher(newServer()))
	go func() { _ = conn.Run(t.Context()) }()
	in := bufio.NewReader(near)
	for _, x := range []struct{ line, answer string }{
		{"{", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{"\r\n" + one + "\r", `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
		{"[]", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{"[" + one + "]", `[{"jsonrpc":"2.0","id":1,"result":{"value":1}}]`},
		{`{"jsonrpc":"2.0","method":"$/cancelRequest"}` + "\n" + one, `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
		{`{"jsonrpc":"2.0","id":"nobody waits","result":1}` + "\n" + one, `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
		{`"` + strings.Repeat("x", 16<<20) + `"`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}`},
		{one, `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`},
	} {
		go func() { _, _ = io.WriteString(near, x.line+"\n") }()
		answer, err := in.ReadString('\n')
		if err != nil || answer != x.answer+"\n" {
			t.Errorf("%.40s: got %s, %v", x.line, answer, err)
		}
	}
}

func TestAClosedConnectionFailsItsCalls(t *testing.T) {
	s := newServer()
	transport := carriers["pipe"](t, s)
	c := echo.NewServerClient(transport)
	failed := make(chan error)
	go func() {
		_, err := c.Sleep(t.Context(), echo.SleepParams{Seconds: "9"}, rpc.WithTimeout(soon))
		failed <- err
	}()
	time.Sleep(20 * time.Millisecond)
	_ = c.Close()
	if err := <-failed; !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Echo(t.Context(), echo.EchoParams{}); !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestMain makes this binary a stdio server when it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("ECHO_STDIO") == "serve" {
		if err := rpc.ServeStdio(context.Background(), echo.NewServerDispatcher(newServer())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestASpawnedCommand(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "ECHO_STDIO=serve")
	process, err := rpc.Spawn(command)
	if err != nil {
		t.Fatal(err)
	}
	c := echo.NewServerClient(process, echo.WithClientHandler(client{}))
	if _, err := c.Callback(t.Context(), echo.CallbackParams{Method: "client/echo"}); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the command ended with %v", err)
	}
	if _, err := rpc.Spawn(exec.Command("/no/such/command")); err == nil {
		t.Error("a command that does not exist was started")
	}
}

func TestInputThatEndsAtOnceIsStillAnswered(t *testing.T) {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "ECHO_STDIO=serve")
	command.Stdin = strings.NewReader(one)
	out, err := command.Output()
	if err != nil || string(out) != `{"jsonrpc":"2.0","id":1,"result":{"value":1}}`+"\n" {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestErrorsByMethodAndCode(t *testing.T) {
	var typed *echo.SumOutOfRangeError
	if err := echo.ErrorFor(echo.AddMethod, &rpc.Error{Code: -32002}); !errors.As(err, &typed) {
		t.Errorf("got %#v", err)
	}
	if err := echo.ErrorFor("nope", &rpc.Error{Code: -32002}); errors.As(err, &typed) && err != nil {
		t.Errorf("got %#v", err)
	}
}
