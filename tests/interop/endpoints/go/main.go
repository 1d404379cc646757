// An endpoint of jrpc2.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/creachadair/jrpc2/handler"
	"github.com/creachadair/jrpc2/jhttp"
)

type addition struct {
	A float64 `json:"a"`
	B float64 `json:"b"`
}

func main() {
	bridge := jhttp.NewBridge(handler.Map{
		"add":  handler.New(func(_ context.Context, params addition) float64 { return params.A + params.B }),
		"fail": handler.New(func(context.Context) error { return errors.New("it failed") }),
	}, nil)
	defer bridge.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, bridge))
}
