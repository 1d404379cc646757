package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// cancelMethod is the notification that abandons a call on a connection; its params are {"id": <id>}.
const cancelMethod = "$/cancelRequest"

// maxServed is how many requests of the other side are served at once. It guards memory; a peer that means
// well never gets near.
const maxServed = 1024

// closeGrace is how long a closing side waits for what is under way.
const closeGrace = 5 * time.Second

// Conn carries messages both ways, one per line: stdio, a pipe or a socket. It is a Transport, and serves the
// requests of the other side if it has a handler.
type Conn struct {
	in       *bufio.Reader
	maxBytes int

	writing sync.Mutex
	out     io.Writer

	mu      sync.Mutex
	handler *Dispatcher
	waiting map[string]chan *message           // our calls by id
	serving map[string]context.CancelCauseFunc // their calls by the key of the id
	closed  bool
	closer  io.Closer
	ended   chan struct{}
	group   sync.WaitGroup
	slots   chan struct{}
}

var (
	errAbandoned = errors.New("the caller has abandoned the call")
	errBusy      = &Error{Code: CodeInternalError, Message: "Too many requests at once"}
	errEnded     = &TransportError{Problem: "the call has no answer", Err: ErrClosed}
)

// NewConn makes a connection of two streams; handler may be nil. Run makes it work. Close closes out where it
// is an io.Closer.
func NewConn(in io.Reader, out io.Writer, handler *Dispatcher) *Conn {
	closer, _ := out.(io.Closer)
	return &Conn{
		in: bufio.NewReaderSize(in, 64<<10), maxBytes: DefaultMaxBytes, out: out, handler: handler, closer: closer,
		waiting: make(map[string]chan *message), serving: make(map[string]context.CancelCauseFunc),
		ended: make(chan struct{}), slots: make(chan struct{}, maxServed),
	}
}

// Bind sets the handler of the other side's requests.
func (c *Conn) Bind(handler *Dispatcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = handler
}

func (c *Conn) dispatcher() *Dispatcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handler == nil {
		return noHandler
	}
	return c.handler
}

// Run reads messages until the stream ends or ctx is done, then lets the calls it serves finish for a few
// seconds before it cancels them. The end of the stream is no error.
func (c *Conn) Run(ctx context.Context) error {
	serving, cancel := context.WithCancelCause(ctx)
	failed := make(chan error, 1)
	go func() { failed <- c.read(serving) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.fail()
	idle := make(chan struct{})
	go func() {
		c.group.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(closeGrace):
	case <-ctx.Done():
	}
	cancel(ErrClosed)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// fail ends all calls that wait.
func (c *Conn) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.ended)
	}
}

// Close closes the outgoing stream, which tells the other side to end.
func (c *Conn) Close() error {
	c.fail()
	if c.closer != nil {
		return c.closer.Close()
	}
	return nil
}

func (c *Conn) read(ctx context.Context) error {
	for {
		line, err := c.line()
		if errors.Is(err, errTooLong) {
			if err := c.write(encodeError("null", &Error{Code: CodeInvalidRequest, Message: "Invalid Request"})); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if len(line) > 0 {
			if err := c.receive(ctx, string(line)); err != nil {
				return err
			}
		}
	}
}

// line is the next line without its end. A line over the limit is skipped whole.
func (c *Conn) line() ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := c.in.ReadSlice('\n')
		if len(line)+len(part) > c.maxBytes+1 {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) {
			return nil, err
		}
		if tooLong {
			return nil, errTooLong
		}
		for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
			line = line[:len(line)-1]
		}
		return line, nil
	}
}

func (c *Conn) receive(ctx context.Context, line string) error {
	in, err := parseText(line)
	if err != nil {
		return c.write(encodeError("null", &Error{Code: CodeParseError, Message: "Parse error"}))
	}
	usage := c.dispatcher().usage
	if usage.isBatch(in) {
		begun := c.spawn(func() {
			c.writeAnswer(c.dispatcher().batch(ctx, in, c.settle, func() *Call { return &Call{back: c} }))
		})
		if !begun {
			return c.write(encodeError("null", errBusy))
		}
		return nil
	}
	m := classify(in, usage)
	switch m.kind {
	case invalidMessage:
		return c.write(encodeError(m.idText(), &Error{Code: CodeInvalidRequest, Message: "Invalid Request"}))
	case responseMessage:
		c.settle(m)
	case notificationMessage:
		if m.method == cancelMethod {
			c.abandon(m)
			return nil
		}
		c.spawn(func() { c.dispatcher().serve(ctx, m, &Call{back: c}) })
	case requestMessage:
		c.serve(ctx, m)
	}
	return nil
}

// spawn runs work that the end of the connection waits for; false when maxServed are under way. It never
// waits: that could block the very answers that those under way wait for.
func (c *Conn) spawn(work func()) bool {
	select {
	case c.slots <- struct{}{}:
	default:
		return false
	}
	c.group.Add(1)
	go func() {
		defer c.group.Done()
		defer func() { <-c.slots }()
		work()
	}()
	return true
}

func (c *Conn) serve(ctx context.Context, m *message) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := m.id.key()
	c.mu.Lock()
	c.serving[key] = cancel
	c.mu.Unlock()
	end := func() {
		c.mu.Lock()
		delete(c.serving, key)
		c.mu.Unlock()
	}
	begun := c.spawn(func() {
		defer cancel(nil)
		answer := c.dispatcher().serve(ctx, m, &Call{back: c})
		end()
		if !errors.Is(context.Cause(ctx), errAbandoned) {
			c.writeAnswer(answer)
		}
	})
	if !begun {
		end()
		cancel(nil)
		c.writeAnswer(encodeError(m.idText(), errBusy))
	}
}

func (c *Conn) abandon(m *message) {
	if m.params == nil {
		return
	}
	id := m.params.Member("id")
	if id == nil {
		return
	}
	c.mu.Lock()
	cancel := c.serving[id.key()]
	c.mu.Unlock()
	if cancel != nil {
		cancel(errAbandoned)
	}
}

func (c *Conn) settle(m *message) {
	c.mu.Lock()
	waiting := c.waiting[m.id.Text()]
	delete(c.waiting, m.id.Text())
	c.mu.Unlock()
	if waiting != nil {
		waiting <- m
	}
}

func (c *Conn) write(text []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.out.Write(append(text, '\n')); err != nil {
		return &TransportError{Problem: "the connection broke", Err: err}
	}
	return nil
}

// writeAnswer writes an answer, if there is one, to a side that may be gone.
func (c *Conn) writeAnswer(text []byte) {
	if text != nil {
		_ = c.write(text)
	}
}

// Call sends a request and waits for its response. When ctx ends first the other side is told.
func (c *Conn) Call(ctx context.Context, request *Request, _ *Exchange) (*Response, error) {
	answer := make(chan *message, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errEnded
	}
	c.waiting[request.ID] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, request.ID)
		c.mu.Unlock()
	}()
	if err := c.write(request.encode()); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		return &m.answer, nil
	case <-c.ended:
		select {
		case m := <-answer:
			return &m.answer, nil
		default:
			return nil, errEnded
		}
	case <-ctx.Done():
		params, err := Encode(map[string]string{"id": request.ID})
		if err == nil {
			_ = c.Notify(context.WithoutCancel(ctx), &Request{Method: cancelMethod, Params: params})
		}
		return nil, ctx.Err()
	}
}

// Notify sends a notification.
func (c *Conn) Notify(_ context.Context, request *Request) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return errEnded
	}
	return c.write(request.encode())
}

// ServeStdio serves the handler on standard input and output until the input ends.
func ServeStdio(ctx context.Context, handler *Dispatcher) error {
	return NewConn(os.Stdin, os.Stdout, handler).Run(ctx)
}

// Process is a connection to a command that was started for it.
type Process struct {
	*Conn
	command *exec.Cmd
	done    chan struct{}
	failure error
}

// Spawn starts a command and talks to it over its standard input and output. Its standard error goes to
// ours unless the command says otherwise.
func Spawn(command *exec.Cmd) (*Process, error) {
	in, err := command.StdinPipe()
	if err != nil {
		return nil, &TransportError{Problem: "cannot start the command", Err: err}
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, &TransportError{Problem: "cannot start the command", Err: err}
	}
	if command.Stderr == nil {
		command.Stderr = os.Stderr
	}
	if err := command.Start(); err != nil {
		return nil, &TransportError{Problem: "cannot start the command", Err: err}
	}
	p := &Process{Conn: NewConn(out, in, nil), command: command, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		err := p.Conn.Run(context.Background())
		p.failure = errors.Join(err, command.Wait())
	}()
	return p, nil
}

// Close closes the command's input, waits a few seconds for it to end and then kills it. The result is the
// command's own failure, if any.
func (p *Process) Close() error {
	_ = p.Conn.Close()
	timer := time.AfterFunc(closeGrace, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	<-p.done
	return p.failure
}
