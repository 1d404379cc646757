// Command worker is the worker of the cross-talk tests in Go: it serves over HTTP (prints its port) or, with --stdio,
// over its pipes.
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
	"slices"
	"sync/atomic"

	"protogen.dev/stepflow"
	"protogen.dev/stepflow/rpc"
)

var components = []string{"/blob", "/fail", "/sleep", "/cancellations", "/boom"}

type worker struct {
	stepflow.UnimplementedWorkerHandler
	cancellations atomic.Int64
}

func (w *worker) Initialize(context.Context, stepflow.InitializeParams) (stepflow.InitializeResult, error) {
	return stepflow.InitializeResult{ServerProtocolVersion: 1}, nil
}

func (w *worker) Initialized(context.Context, stepflow.Initialized) error { return nil }

func (w *worker) ComponentsList(context.Context, stepflow.ComponentListParams) (stepflow.ListComponentsResult, error) {
	var result stepflow.ListComponentsResult
	for _, name := range components {
		result.Components = append(result.Components, stepflow.ComponentInfo{Component: name})
	}
	return result, nil
}

func (w *worker) ComponentsInfo(_ context.Context, params stepflow.ComponentInfoParams) (stepflow.ComponentInfoResult, error) {
	if !slices.Contains(components, params.Component) {
		return stepflow.ComponentInfoResult{}, notFound(params.Component)
	}
	return stepflow.ComponentInfoResult{Info: stepflow.ComponentInfo{Component: params.Component}}, nil
}

func (w *worker) ComponentsExecute(ctx context.Context, params stepflow.ComponentExecuteParams) (stepflow.ComponentExecuteResult, error) {
	output, err := w.execute(ctx, params)
	if err != nil {
		return stepflow.ComponentExecuteResult{}, err
	}
	text, err := json.Marshal(output)
	return stepflow.ComponentExecuteResult{Output: text}, err
}

func (w *worker) execute(ctx context.Context, params stepflow.ComponentExecuteParams) (any, error) {
	switch params.Component {
	case "/blob":
		runtime := stepflow.RuntimeFrom(ctx)
		put, err := runtime.BlobsPut(ctx, stepflow.PutBlobParams{Data: params.Input, BlobType: stepflow.BlobTypeData})
		if err != nil {
			return nil, err
		}
		got, err := runtime.BlobsGet(ctx, stepflow.GetBlobParams{BlobID: put.BlobID})
		if err != nil {
			return nil, err
		}
		return map[string]any{"blob_id": put.BlobID, "data": got.Data}, nil
	case "/sleep":
		<-ctx.Done()
		w.cancellations.Add(1)
		return nil, ctx.Err()
	case "/cancellations":
		return w.cancellations.Load(), nil
	case "/boom":
		return nil, errors.New("the secret of the worker")
	default:
		return nil, notFound(params.Component)
	}
}

func notFound(component string) error {
	return &stepflow.ComponentNotFoundError{Data: &stepflow.ComponentNotFoundData{Component: component}}
}

func main() {
	dispatcher := stepflow.NewWorkerDispatcher(&worker{})
	if slices.Contains(os.Args, "--stdio") {
		if err := rpc.ServeStdio(context.Background(), dispatcher); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, http.Serve(listener, rpc.NewHTTPHandler(dispatcher)))
}
