// Command worker prices orders and archives them: over HTTP (-port N, which it announces), or its pipes (-stdio).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"protogen.dev/stepflow"
	"protogen.dev/stepflow/rpc"
)

type order struct {
	Items   []string `json:"items"`
	Express bool     `json:"express"`
}

var orderSchema = stepflow.Schema{
	"type":       json.RawMessage(`"object"`),
	"required":   json.RawMessage(`["items"]`),
	"properties": json.RawMessage(`{"items": {"type": "array", "items": {"type": "string"}}, "express": {"type": "boolean"}}`),
}

// A component gives its output for an order, which it gets as it came, too.
type component struct {
	path, description string
	run               func(ctx context.Context, ordered order, input json.RawMessage) (any, error)
}

var components = []component{
	{"/price", "Price an order.", price},
	{"/archive", "Store an order as a blob.", archive},
}

func price(_ context.Context, ordered order, _ json.RawMessage) (any, error) {
	if len(ordered.Items) == 0 {
		data := json.RawMessage(`{"order": "empty"}`)
		return nil, &stepflow.InvalidValueError{Message: "there is nothing to price", Data: data}
	}
	total := 5 * len(ordered.Items)
	if ordered.Express {
		total += 10
	}
	return map[string]int{"total": total}, nil
}

func archive(ctx context.Context, _ order, input json.RawMessage) (any, error) {
	put := stepflow.PutBlobParams{Data: input, BlobType: stepflow.BlobTypeData}
	blob, err := stepflow.RuntimeFrom(ctx).BlobsPut(ctx, put)
	return blob.BlobID, err
}

type shop struct {
	stepflow.UnimplementedWorkerHandler
}

func (shop) Initialize(context.Context, stepflow.InitializeParams) (stepflow.InitializeResult, error) {
	return stepflow.InitializeResult{ServerProtocolVersion: 1}, nil
}

func (shop) Initialized(context.Context, stepflow.Initialized) error { return nil }

func (shop) ComponentsList(context.Context, stepflow.ComponentListParams) (stepflow.ListComponentsResult, error) {
	var listed stepflow.ListComponentsResult
	for _, known := range components {
		listed.Components = append(listed.Components, known.info())
	}
	return listed, nil
}

func (shop) ComponentsInfo(
	_ context.Context, params stepflow.ComponentInfoParams,
) (stepflow.ComponentInfoResult, error) {
	found, err := find(params.Component)
	return stepflow.ComponentInfoResult{Info: found.info()}, err
}

func (shop) ComponentsExecute(
	ctx context.Context, params stepflow.ComponentExecuteParams,
) (stepflow.ComponentExecuteResult, error) {
	var result stepflow.ComponentExecuteResult
	found, err := find(params.Component)
	if err != nil {
		return result, err
	}
	var ordered order
	if err := json.Unmarshal(params.Input, &ordered); err != nil || ordered.Items == nil {
		return result, &stepflow.InvalidInputSchemaError{Message: "items is a list of names"}
	}
	output, err := found.run(ctx, ordered, params.Input)
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
	return stepflow.ComponentInfo{
		Component: c.path, Description: rpc.Some(c.description), InputSchema: rpc.Some(orderSchema),
	}
}

func main() {
	stdio := flag.Bool("stdio", false, "speak through pipes")
	port := flag.Int("port", 0, "where to listen; 0 for any free port")
	flag.Parse()
	dispatcher := stepflow.NewWorkerDispatcher(shop{})
	if *stdio {
		if err := rpc.ServeStdio(context.Background(), dispatcher); err != nil {
			log.Fatal(err)
		}
		return
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, rpc.NewHTTPHandler(dispatcher)))
}
