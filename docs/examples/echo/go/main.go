// Command demo runs a server of the echo protocol and a client that calls it, both on the generated SDK.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"protogen.dev/echo"
	"protogen.dev/echo/rpc"
)

type server struct {
	echo.UnimplementedServerHandler
}

func (server) Echo(_ context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	return echo.EchoResult{Value: params.Value}, nil
}

func (server) Add(_ context.Context, params echo.AddParams) (echo.AddResult, error) {
	a, err := params.A.Int64()
	if err != nil {
		return echo.AddResult{}, err
	}
	b, err := params.B.Int64()
	return echo.AddResult{Sum: json.Number(fmt.Sprint(a + b))}, err
}

func (server) Count(_ context.Context, params echo.CountParams, events *rpc.Emitter[echo.CountEvent]) (echo.CountResult, error) {
	for number := int64(1); number <= params.To; number++ {
		if err := events.Emit(echo.CountEvent{Number: number}); err != nil {
			return echo.CountResult{}, err
		}
	}
	return echo.CountResult{Counted: params.To}, nil
}

func (server) Callback(ctx context.Context, _ echo.CallbackParams) (echo.CallbackResult, error) {
	heard, err := echo.ClientFrom(ctx).ClientEcho(ctx, echo.EchoParams{Value: json.RawMessage(`"are you there?"`)})
	return echo.CallbackResult{Result: heard.Value}, err
}

func (server) Sleep(context.Context, echo.SleepParams) (echo.SleepResult, error) {
	return echo.SleepResult{}, &echo.SleepTooLongError{Data: &echo.SleepTooLongData{Maximum: "0"}}
}

type listener struct{}

func (listener) ClientEcho(_ context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	var said string
	if err := json.Unmarshal(params.Value, &said); err != nil {
		return echo.EchoResult{}, err
	}
	value, err := json.Marshal("the client heard: " + said)
	return echo.EchoResult{Value: value}, err
}

func main() {
	ctx := context.Background()
	httpServer := httptest.NewServer(rpc.NewHTTPHandler(echo.NewServerDispatcher(server{})))
	defer httpServer.Close()
	client := echo.NewServerClient(rpc.NewHTTP(httpServer.URL), echo.WithClientHandler(listener{}))
	defer client.Close()

	said, err := client.Echo(ctx, echo.EchoParams{Value: json.RawMessage(`{"text":"hello"}`)})
	must(err)
	fmt.Println("echo     ", string(said.Value))
	sum, err := client.Add(ctx, echo.AddParams{A: "2", B: "3"})
	must(err)
	fmt.Println("add      ", sum.Sum)
	count(ctx, client)
	back, err := client.Callback(ctx, echo.CallbackParams{Method: "client/echo"})
	must(err)
	fmt.Println("callback ", string(back.Result))
	var tooLong *echo.SleepTooLongError
	if _, err := client.Sleep(ctx, echo.SleepParams{Seconds: "60"}); errors.As(err, &tooLong) {
		fmt.Printf("sleep     %v: at most %s s\n", tooLong, tooLong.Data.Maximum)
	}
}

func count(ctx context.Context, client *echo.ServerClient) {
	stream := client.CountStream(ctx, echo.CountParams{To: 3})
	defer stream.Close()
	fmt.Print("count     ")
	for event, err := range stream.Events() {
		must(err)
		fmt.Print(event.Number, ", ")
	}
	result, err := stream.Result()
	must(err)
	fmt.Println("then", result.Counted)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
