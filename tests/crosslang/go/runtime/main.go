// Command runtime is the runtime of the cross-talk tests in Go: it calls the worker at the URL given and prints what each
// step gave.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"protogen.dev/stepflow"
	"protogen.dev/stepflow/rpc"
)

type runtime struct {
	stepflow.UnimplementedRuntimeHandler
	lock  sync.Mutex
	blobs map[string]stepflow.PutBlobParams
}

func (r *runtime) BlobsPut(_ context.Context, params stepflow.PutBlobParams) (stepflow.PutBlobResult, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	id := fmt.Sprintf("blob-%d", len(r.blobs))
	r.blobs[id] = params
	return stepflow.PutBlobResult{BlobID: id}, nil
}

func (r *runtime) BlobsGet(_ context.Context, params stepflow.GetBlobParams) (stepflow.GetBlobResult, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	blob, ok := r.blobs[params.BlobID]
	if !ok {
		return stepflow.GetBlobResult{}, &stepflow.BlobNotFoundError{}
	}
	return stepflow.GetBlobResult{Data: blob.Data, BlobType: blob.BlobType}, nil
}

type scenario struct{ worker *stepflow.WorkerClient }

func say(step string, got any) {
	line, err := json.Marshal(map[string]any{"step": step, "got": got})
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (s scenario) execute(ctx context.Context, component string, input any, options ...rpc.CallOption) (json.RawMessage, error) {
	text, err := json.Marshal(input)
	check(err)
	result, err := s.worker.ComponentsExecute(ctx, stepflow.ComponentExecuteParams{Component: component, Input: text, Attempt: 1}, options...)
	return result.Output, err
}

func failure(err error) []any {
	var missing *stepflow.ComponentNotFoundError
	var late *rpc.TimeoutError
	var other *rpc.Error
	switch {
	case errors.As(err, &missing):
		return []any{"ComponentNotFound", stepflow.CodeComponentNotFound, missing.Data}
	case errors.As(err, &late):
		return []any{"Timeout"}
	case errors.As(err, &other):
		return []any{"RpcError", other.Code, other.Message}
	default:
		return []any{fmt.Sprint(err)}
	}
}

func (s scenario) cancellations(ctx context.Context, least int) bool {
	for range 100 {
		output, err := s.execute(ctx, "/cancellations", nil)
		check(err)
		var count int
		check(json.Unmarshal(output, &count))
		if count >= least {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

func (s scenario) play(ctx context.Context) {
	started, err := s.worker.Initialize(ctx, stepflow.InitializeParams{RuntimeProtocolVersion: 1})
	check(err)
	say("initialize", started.ServerProtocolVersion)
	check(s.worker.Initialized(ctx, stepflow.Initialized{}))
	list, err := s.worker.ComponentsList(ctx, stepflow.ComponentListParams{})
	check(err)
	say("list", len(list.Components))
	info, err := s.worker.ComponentsInfo(ctx, stepflow.ComponentInfoParams{Component: "/blob"})
	check(err)
	say("info", info.Info.Component)
	s.callback(ctx)
	_, err = s.execute(ctx, "/nowhere", nil)
	say("typed error", failure(err))
	_, err = s.worker.Call(ctx, "components/execute", map[string]any{"component": "/blob"})
	say("invalid params", failure(err)[:2])
	_, err = s.worker.Call(ctx, "components/nope", map[string]any{})
	say("unknown method", failure(err)[:2])
	_, err = s.execute(ctx, "/boom", nil)
	say("internal error", failure(err))
	s.abandon(ctx)
	_, err = s.execute(ctx, "/sleep", nil, rpc.WithTimeout(200*time.Millisecond))
	say("time-out", failure(err))
	say("time-out seen", s.cancellations(ctx, 2))
	s.parallel(ctx)
}

func (s scenario) callback(ctx context.Context) {
	input := json.RawMessage("{\"text\":\"é\\u2028😀\",\"big\":9007199254740993,\"list\":[1,null,{}]}")
	output, err := s.execute(ctx, "/blob", input)
	check(err)
	var blob struct {
		Data struct {
			Text string
			Big  json.Number
			List any
		}
	}
	check(json.Unmarshal(output, &blob))
	say("callback", []any{blob.Data.Text, blob.Data.Big.String(), blob.Data.List})
}

func (s scenario) abandon(ctx context.Context) {
	abandoned, abandon := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		_, _ = s.execute(abandoned, "/sleep", nil)
		close(done)
	}()
	time.Sleep(200 * time.Millisecond)
	abandon()
	<-done
	say("abandoned", s.cancellations(ctx, 1))
}

func (s scenario) parallel(ctx context.Context) {
	got := make([]int, 20)
	var group sync.WaitGroup
	for index := range got {
		group.Add(1)
		go func() {
			defer group.Done()
			output, err := s.execute(ctx, "/blob", index)
			check(err)
			var blob struct{ Data int }
			check(json.Unmarshal(output, &blob))
			got[index] = blob.Data
		}()
	}
	group.Wait()
	say("parallel", got)
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: runtime URL, or runtime --stdio COMMAND...")
		os.Exit(2)
	}
	handler := stepflow.WithRuntimeHandler(&runtime{blobs: map[string]stepflow.PutBlobParams{}})
	timeout := rpc.WithTimeout(10 * time.Second)
	if os.Args[1] != "--stdio" {
		worker := stepflow.NewWorkerClient(rpc.NewHTTP(os.Args[1]), handler, timeout)
		defer worker.Close()
		scenario{worker}.play(context.Background())
		return
	}
	conn, wait := spawn(os.Args[2:])
	worker := stepflow.NewWorkerClient(conn, handler, timeout)
	scenario{worker}.play(context.Background())
	_ = worker.Close()
	wait()
}

// spawn starts a command and talks to it over its pipes; wait ends when the command has.
func spawn(words []string) (conn *rpc.Conn, wait func()) {
	command := exec.Command(words[0], words[1:]...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	must(err)
	out, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	conn = rpc.NewConn(out, in, nil)
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(context.Background()) }()
	return conn, func() {
		must(<-ended)
		must(command.Wait())
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
