// Command streams is the cross-talk of streamed answers in Go: --serve is an agent (prints its port), a URL is called.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"protogen.dev/a2a"
	"protogen.dev/a2a/rpc"
)

var task = a2a.StreamResponse{Task: &a2a.Task{ID: "t", Status: a2a.TaskStatus{State: "TASK_STATE_SUBMITTED"}}}

func update(state a2a.TaskState) a2a.StreamResponse {
	return a2a.StreamResponse{StatusUpdate: &a2a.TaskStatusUpdateEvent{
		TaskID: "t", ContextID: "c", Status: a2a.TaskStatus{State: state},
	}}
}

// agent answers three times to a message; to a subscription once, or once and then with an error.
type agent struct {
	a2a.UnimplementedAgentHandler
}

func (agent) SendStreamingMessage(_ context.Context, _ a2a.SendMessageRequest, events *rpc.Emitter[a2a.StreamResponse]) (a2a.StreamResponse, error) {
	err := errors.Join(events.Emit(task), events.Emit(update("TASK_STATE_WORKING")))
	return update("TASK_STATE_COMPLETED"), err
}

func (agent) SubscribeToTask(_ context.Context, params a2a.SubscribeToTaskRequest, events *rpc.Emitter[a2a.StreamResponse]) (a2a.StreamResponse, error) {
	if params.ID != "gone" {
		return task, nil
	}
	if err := events.Emit(task); err != nil {
		return a2a.StreamResponse{}, err
	}
	return a2a.StreamResponse{}, &a2a.TaskNotFoundError{}
}

func shown(item a2a.StreamResponse) string {
	switch {
	case item.Task != nil:
		return string(item.Task.Status.State)
	case item.StatusUpdate != nil:
		return string(item.StatusUpdate.Status.State)
	default:
		return "artifact"
	}
}

// told is the events, and the result or the code of the error.
func told(stream *rpc.Stream[a2a.StreamResponse, a2a.StreamResponse]) []any {
	events := []string{}
	for event, err := range stream.Events() {
		var refused *rpc.Error
		if errors.As(err, &refused) {
			return []any{events, refused.Code}
		}
		var broken *rpc.TransportError
		if errors.As(err, &broken) {
			return []any{events, "cut"}
		}
		if err != nil {
			return []any{events, err.Error()}
		}
		events = append(events, shown(event))
	}
	result, err := stream.Result()
	if err != nil {
		return []any{events, err.Error()}
	}
	return []any{events, shown(result)}
}

func call(url string) error {
	ctx := context.Background()
	client := a2a.NewAgentClient(rpc.NewHTTP(url))
	text := "hello"
	message := a2a.Message{MessageID: "m", Role: "ROLE_USER", Parts: []a2a.Part{{Text: &text}}}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"stream": told(client.SendStreamingMessageStream(ctx, a2a.SendMessageRequest{Message: message})),
		"once":   told(client.SubscribeToTaskStream(ctx, a2a.SubscribeToTaskRequest{ID: "once"})),
		"gone":   told(client.SubscribeToTaskStream(ctx, a2a.SubscribeToTaskRequest{ID: "gone"})),
	})
}

func run() error {
	if os.Args[1] != "--serve" {
		return call(os.Args[1])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(listener, rpc.NewHTTPHandler(a2a.NewAgentDispatcher(agent{})))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
