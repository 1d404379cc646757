// Command worker is a worker of Stepflow with the components that the kit looks for: over HTTP (it announces its port)
// or, with --stdio, over its pipes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"protogen.dev/stepflow"
	"protogen.dev/stepflow/rpc"
)

type component struct {
	path, description string
	execute           func(ctx context.Context, input json.RawMessage) (any, error)
}

var components = []component{
	{"/echo", "Give the input back.", echo},
	{"/fail", "Fail as the input says.", fail},
	{"/sleep", "Take as many seconds as the input says.", sleep},
	{"/put", "Store the input as a blob.", put},
	{"/get", "Give the data of a blob.", get},
}

func echo(_ context.Context, input json.RawMessage) (any, error) { return input, nil }

func fail(_ context.Context, input json.RawMessage) (any, error) {
	asked := struct{ Message string }{"it was asked to fail"}
	if err := json.Unmarshal(input, &asked); err != nil {
		return nil, &stepflow.InvalidInputSchemaError{Message: "message is a text"}
	}
	return nil, &stepflow.ExecutionFailedError{Message: asked.Message}
}

func sleep(ctx context.Context, input json.RawMessage) (any, error) {
	asked := struct{ Seconds float64 }{-1}
	if err := json.Unmarshal(input, &asked); err != nil || asked.Seconds < 0 {
		return nil, &stepflow.InvalidInputSchemaError{Message: "seconds is a number from 0 on"}
	}
	timer := time.NewTimer(time.Duration(asked.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return map[string]float64{"slept": asked.Seconds}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func put(ctx context.Context, input json.RawMessage) (any, error) {
	blob := stepflow.PutBlobParams{Data: input, BlobType: stepflow.BlobTypeData}
	stored, err := stepflow.RuntimeFrom(ctx).BlobsPut(ctx, blob)
	return stored.BlobID, err
}

func get(ctx context.Context, input json.RawMessage) (any, error) {
	var id string
	if err := json.Unmarshal(input, &id); err != nil {
		return nil, &stepflow.InvalidInputSchemaError{Message: "the input is the id of a blob"}
	}
	blob, err := stepflow.RuntimeFrom(ctx).BlobsGet(ctx, stepflow.GetBlobParams{BlobID: id})
	return blob.Data, err
}

type worker struct {
	stepflow.UnimplementedWorkerHandler
}

func (worker) Initialize(context.Context, stepflow.InitializeParams) (stepflow.InitializeResult, error) {
	return stepflow.InitializeResult{ServerProtocolVersion: 1}, nil
}

func (worker) Initialized(context.Context, stepflow.Initialized) error { return nil }

func (worker) ComponentsList(context.Context, stepflow.ComponentListParams) (stepflow.ListComponentsResult, error) {
	var listed stepflow.ListComponentsResult
	for _, known := range components {
		listed.Components = append(listed.Components, known.info())
	}
	return listed, nil
}

func (worker) ComponentsInfo(
	_ context.Context, params stepflow.ComponentInfoParams,
) (stepflow.ComponentInfoResult, error) {
	found, err := find(params.Component)
	return stepflow.ComponentInfoResult{Info: found.info()}, err
}

func (worker) ComponentsInferSchema(
	_ context.Context, params stepflow.ComponentInferSchemaParams,
) (stepflow.ComponentInferSchemaResult, error) {
	_, err := find(params.Component)
	return stepflow.ComponentInferSchemaResult{OutputSchema: rpc.Null[stepflow.Schema]()}, err
}

func (worker) ComponentsExecute(
	ctx context.Context, params stepflow.ComponentExecuteParams,
) (stepflow.ComponentExecuteResult, error) {
	var result stepflow.ComponentExecuteResult
	found, err := find(params.Component)
	if err != nil {
		return result, err
	}
	output, err := found.execute(ctx, params.Input)
	if err != nil {
		return result, err
	}
	result.Output, err = json.Marshal(output)
	return result, err
}

func find(path string) (component, error) {
	for _, known := range components {
		if known.path == path {
			return known, nil
		}
	}
	data := &stepflow.ComponentNotFoundData{Component: path}
	return component{}, &stepflow.ComponentNotFoundError{Data: data}
}

func (c component) info() stepflow.ComponentInfo {
	return stepflow.ComponentInfo{Component: c.path, Description: rpc.Some(c.description)}
}

func main() {
	stdio := flag.Bool("stdio", false, "speak through pipes")
	flag.Parse()
	// What Stepflow takes for a message is not quite JSON-RPC.
	usage := rpc.Usage{NoBatches: true, PlainIDs: true, Lenient: true}
	dispatcher := stepflow.NewWorkerDispatcher(worker{}, rpc.WithUsage(usage))
	if *stdio {
		if err := rpc.ServeStdio(context.Background(), dispatcher); err != nil {
			log.Fatal(err)
		}
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	handler := rpc.NewHTTPHandler(dispatcher)
	http.Handle("/{$}", handler)
	http.Handle("/health", handler)
	log.Fatal(http.Serve(listener, nil))
}
