// Command echo serves the echo protocol over HTTP (it announces its port) or, with --stdio, over its pipes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"time"

	"protogen.dev/echo"
	"protogen.dev/echo/rpc"
)

const longestSleepSeconds = 60

type server struct {
	echo.UnimplementedServerHandler
}

func (server) Echo(_ context.Context, params echo.EchoParams) (echo.EchoResult, error) {
	return echo.EchoResult{Value: params.Value}, nil
}

// Add is exact where both numbers are whole, as the protocol promises.
func (server) Add(_ context.Context, params echo.AddParams) (echo.AddResult, error) {
	a, wholeA := new(big.Int).SetString(params.A.String(), 10)
	b, wholeB := new(big.Int).SetString(params.B.String(), 10)
	if wholeA && wholeB {
		return echo.AddResult{Sum: json.Number(a.Add(a, b).String())}, nil
	}
	x, errA := params.A.Float64()
	y, errB := params.B.Float64()
	sum, err := json.Marshal(x + y) // refuses an infinite sum
	if errors.Join(errA, errB, err) != nil {
		return echo.AddResult{}, &echo.SumOutOfRangeError{Data: &echo.SumOutOfRangeData{A: params.A, B: params.B}}
	}
	return echo.AddResult{Sum: json.Number(sum)}, nil
}

func (server) Fail(_ context.Context, params echo.FailParams) (echo.FailResult, error) {
	return echo.FailResult{}, &rpc.Error{Code: params.Code, Message: params.Message, Data: params.Data}
}

func (server) Sleep(ctx context.Context, params echo.SleepParams) (echo.SleepResult, error) {
	seconds, err := params.Seconds.Float64()
	if err != nil || seconds > longestSleepSeconds {
		data := &echo.SleepTooLongData{Maximum: json.Number(strconv.Itoa(longestSleepSeconds))}
		return echo.SleepResult{}, &echo.SleepTooLongError{Data: data}
	}
	start := time.Now()
	if err := pause(ctx, seconds); err != nil {
		return echo.SleepResult{}, err
	}
	slept := strconv.FormatFloat(time.Since(start).Seconds(), 'f', -1, 64)
	return echo.SleepResult{Slept: json.Number(slept)}, nil
}

func (server) Count(
	ctx context.Context, params echo.CountParams, events *rpc.Emitter[echo.CountEvent],
) (echo.CountResult, error) {
	interval, err := rpc.Deref(params.Interval, "0").Float64()
	if err != nil || interval > longestSleepSeconds {
		interval = longestSleepSeconds
	}
	for number := int64(1); number <= params.To; number++ {
		if err := events.Emit(echo.CountEvent{Number: number}); err != nil {
			return echo.CountResult{}, err
		}
		if err := pause(ctx, interval); err != nil {
			return echo.CountResult{}, err
		}
	}
	return echo.CountResult{Counted: params.To}, nil
}

func (server) Callback(ctx context.Context, params echo.CallbackParams) (echo.CallbackResult, error) {
	result, err := echo.ClientFrom(ctx).Call(ctx, params.Method, params.Params)
	var refused *rpc.Error
	if errors.As(err, &refused) {
		data := &echo.CallbackFailedData{Code: refused.Code, Message: refused.Message, Data: refused.Data}
		return echo.CallbackResult{}, &echo.CallbackFailedError{Data: data}
	}
	return echo.CallbackResult{Result: result}, err
}

func (server) Notify(context.Context, echo.NotifyParams) error { return nil }

func pause(ctx context.Context, seconds float64) error {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func main() {
	stdio := flag.Bool("stdio", false, "speak through pipes")
	flag.Parse()
	dispatcher := echo.NewServerDispatcher(server{})
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
	log.Fatal(http.Serve(listener, rpc.NewHTTPHandler(dispatcher)))
}
