// Command sdk makes one call by the generated Go SDK and tells what came of it as the kit expects it.
//
// Usage: sdk URL METHOD PARAMS
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"protogen.dev/echo"
	"protogen.dev/echo/rpc"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sdk URL METHOD PARAMS")
		os.Exit(2)
	}
	told, err := call(os.Args[1], os.Args[2], json.RawMessage(os.Args[3]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	fmt.Println(string(told))
}

// call is the outcome of the call as one JSON object; an error where there is neither a result nor an error of the server.
func call(url, method string, params json.RawMessage) ([]byte, error) {
	client := echo.NewServerClient(rpc.NewHTTP(url))
	defer client.Close()
	result, err := client.Call(context.Background(), method, params)
	var refused *rpc.Error
	switch {
	case errors.As(err, &refused):
		return json.Marshal(map[string]any{"error": errorObject(refused)})
	case err != nil:
		return nil, err
	}
	return json.Marshal(map[string]any{"result": result})
}

func errorObject(e *rpc.Error) map[string]any {
	object := map[string]any{"code": e.Code, "message": e.Message}
	if e.Data != nil {
		object["data"] = e.Data
	}
	return object
}
