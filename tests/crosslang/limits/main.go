// Calls `say` under each setting of server and client, and prints what came of it as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"

	"protogen.dev/limits"
	"protogen.dev/limits/rpc"
)

type server struct{}

func (server) Say(_ context.Context, params limits.Word) (limits.Word, error) { return params, nil }

func outcome(err error) string {
	var refused *rpc.Error
	var invalid *rpc.InvalidResultError
	switch {
	case err == nil:
		return "taken"
	case errors.As(err, &refused):
		return fmt.Sprint(refused.Code)
	case errors.As(err, &invalid):
		return "refused here"
	}
	panic(err)
}

func named(value bool) string {
	if value {
		return "True"
	}
	return "False"
}

func main() {
	ctx := context.Background()
	found := map[string]string{}
	for _, serving := range []bool{true, false} {
		dispatcher := limits.NewServerDispatcher(server{}, rpc.WithConstraints(serving))
		listener := httptest.NewServer(rpc.NewHTTPHandler(dispatcher))
		for _, calling := range []bool{true, false} {
			client := limits.NewServerClient(rpc.NewHTTP(listener.URL), rpc.WithConstraints(calling))
			name := named(serving) + " " + named(calling)
			_, err := client.Say(ctx, limits.Word{Text: "too long", Tags: []string{"a", "a"}})
			found[name] = outcome(err)
			_, err = client.Call(ctx, "say", map[string]int{"text": 5})
			found[name+" type"] = outcome(err)
		}
		listener.Close()
	}
	text, err := json.Marshal(found)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
