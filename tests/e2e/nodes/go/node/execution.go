package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"protogen.dev/apflow"
	"protogen.dev/apflow/rpc"
)

type values = map[string]json.RawMessage

// An executor does the work of a task; its error becomes the task's.
type executor func(ctx context.Context, inputs values) (values, error)

var executors = map[string]executor{
	"echo":  func(_ context.Context, inputs values) (values, error) { return inputs, nil },
	"sleep": sleep,
	"fail":  fail,
}

func sleep(ctx context.Context, inputs values) (values, error) {
	var seconds float64
	if err := json.Unmarshal(inputs["seconds"], &seconds); err != nil || seconds < 0 {
		return nil, errors.New("seconds is a number from 0 on")
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return values{"slept": inputs["seconds"]}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func fail(_ context.Context, inputs values) (values, error) {
	var message string
	if err := json.Unmarshal(inputs["message"], &message); err != nil || message == "" {
		message = "it was asked to fail"
	}
	return nil, errors.New(message)
}

// maxRunning is how many tasks are executed at a time; what is ready beyond that waits, the most urgent first.
const maxRunning = 64

// run is one call of tasks.execute.
type run struct {
	root  string
	ids   []string
	ended bool

	mu      sync.Mutex
	changes []apflow.Task // not yet taken
	more    *sync.Cond
}

func newRun(root string, ids []string) *run {
	r := &run{root: root, ids: ids}
	r.more = sync.NewCond(&r.mu)
	return r
}

// tell adds a change for those who follow the run.
func (r *run) tell(task apflow.Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, task)
	r.more.Broadcast()
}

func (r *run) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.more.Broadcast()
}

// follow gives take each change from the first on, until the run has ended or take fails.
func (r *run) follow(take func(apflow.Task) error) error {
	for at := 0; ; at++ {
		r.mu.Lock()
		for at == len(r.changes) && !r.ended {
			r.more.Wait()
		}
		if at == len(r.changes) {
			r.mu.Unlock()
			return nil
		}
		task := r.changes[at]
		r.mu.Unlock()
		if err := take(task); err != nil {
			return err
		}
	}
}

// execution holds all tasks and the runs under way. Whoever calls its methods holds mu.
type execution struct {
	mu         sync.Mutex
	tasks      tasks
	runs       []*run
	attempts   map[string]context.CancelFunc
	lastMoment time.Time
}

func newExecution() *execution {
	return &execution{tasks: tasks{}, attempts: map[string]context.CancelFunc{}}
}

// now is the time, later than whenever it was asked for before.
func (e *execution) now() string {
	e.lastMoment = latest(time.Now().UTC().Truncate(time.Microsecond), e.lastMoment.Add(time.Microsecond))
	return instant(e.lastMoment)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// instant has all digits, so that times are in the order of their texts.
func instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (e *execution) begin(r *run) {
	e.runs = append(e.runs, r)
	e.wake()
}

func (e *execution) change(task *apflow.Task, status apflow.TaskStatus) {
	enter(task, status, e.now())
	e.tell(task)
}

func (e *execution) tell(task *apflow.Task) {
	for _, r := range e.runs {
		if slices.Contains(r.ids, task.ID) {
			r.tell(*task)
		}
	}
}

func (e *execution) cancel(task *apflow.Task, reason string) {
	task.Error = rpc.Some(reason)
	e.change(task, apflow.TaskStatusCancelled)
	if stop, ok := e.attempts[task.ID]; ok {
		stop()
		delete(e.attempts, task.ID)
	}
	e.wake()
}

// reset sets tasks back, and whatever has ended and depends on them; the result has the ids of all.
func (e *execution) reset(found ...*apflow.Task) []string {
	var ids []string
	for at := 0; at < len(found); at++ {
		for _, other := range e.tasks.dependantsOf(found[at].ID) {
			if hasEnded(other) && !slices.Contains(found, other) {
				found = append(found, other)
			}
		}
	}
	for _, task := range found {
		e.change(task, apflow.TaskStatusPending)
		ids = append(ids, task.ID)
	}
	return ids
}

// wake starts what is ready, in the order of priority, and ends the runs in which nothing can become ready.
func (e *execution) wake() {
	for _, r := range slices.Clone(e.runs) {
		ready, isBusy := e.waiting(r)
		for _, task := range ready[:min(len(ready), maxRunning-len(e.attempts))] {
			e.start(task)
		}
		if !isBusy && len(ready) == 0 {
			r.end()
			e.runs = slices.DeleteFunc(e.runs, func(other *run) bool { return other == r })
		}
	}
}

// waiting are the tasks of a run that can start, the most urgent first, and whether others run.
func (e *execution) waiting(r *run) (ready []*apflow.Task, isBusy bool) {
	for _, id := range r.ids {
		task, ok := e.tasks[id]
		if !ok {
			continue
		}
		isBusy = isBusy || task.Status == apflow.TaskStatusInProgress
		if e.tasks.isReady(task) {
			ready = append(ready, task)
		}
	}
	slices.SortStableFunc(ready, func(a, b *apflow.Task) int { return cmp.Compare(*a.Priority, *b.Priority) })
	return ready, isBusy
}

func (e *execution) start(task *apflow.Task) {
	ctx, cancel := context.WithCancel(context.Background())
	e.attempts[task.ID] = cancel
	e.change(task, apflow.TaskStatusInProgress)
	started := *task
	go func() {
		defer cancel()
		result, err := perform(ctx, started)
		e.mu.Lock()
		defer e.mu.Unlock()
		if ctx.Err() == nil { // what an executor says after its task was cancelled changes nothing
			delete(e.attempts, task.ID)
			e.settle(task, result, err)
		}
		e.wake()
	}()
}

func (e *execution) settle(task *apflow.Task, result values, err error) {
	if err != nil {
		task.Error = rpc.Some(err.Error())
		e.change(task, apflow.TaskStatusFailed)
		return
	}
	task.Result = rpc.Some(result)
	task.Progress = rpc.Ptr(1.0)
	e.change(task, apflow.TaskStatusCompleted)
}

// perform runs the executor of a task; one without any only groups others.
func perform(ctx context.Context, task apflow.Task) (values, error) {
	schemas, ok := task.Schemas.Get()
	if !ok {
		return values{}, nil
	}
	execute, ok := executors[schemas.Method]
	if !ok {
		return nil, fmt.Errorf("no executor is registered as %s", schemas.Method)
	}
	return execute(ctx, task.Inputs)
}

// plan sets the time of a task's next run; schedules by the calendar are stored and do not trigger.
func (e *execution) plan(task *apflow.Task, after time.Time) {
	at, ok := nextRun(task, after)
	if !ok {
		task.NextRunAt = rpc.Null[string]()
		return
	}
	planned := rpc.Some(instant(at))
	task.NextRunAt = planned
	time.AfterFunc(time.Until(at), func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if task.NextRunAt == planned && e.tasks[task.ID] == task {
			e.trigger(task)
			e.plan(task, at)
		}
	})
}

func (e *execution) trigger(task *apflow.Task) {
	if task.Status == apflow.TaskStatusInProgress {
		return
	}
	task.RunCount = rpc.Ptr(*task.RunCount + 1)
	task.LastRunAt = rpc.Some(e.now())
	if hasEnded(task) {
		e.reset(task)
	}
	e.begin(newRun(task.ID, []string{task.ID}))
}

func nextRun(task *apflow.Task, after time.Time) (at time.Time, ok bool) {
	most, isLimited := task.MaxRuns.Get()
	if !*task.ScheduleEnabled || isLimited && *task.RunCount >= most {
		return at, false
	}
	expression := task.ScheduleExpression.Or("")
	switch task.ScheduleType.Or("") {
	case apflow.ScheduleTypeOnce:
		at = moment(rpc.Some(expression))
	case apflow.ScheduleTypeInterval:
		seconds, err := strconv.ParseInt(expression, 10, 32)
		if err != nil {
			return at, false
		}
		at = latest(after, moment(task.ScheduleStartAt)).Add(time.Duration(seconds) * time.Second)
	}
	end := moment(task.ScheduleEndAt)
	return at, at.After(after) && (end.IsZero() || !at.After(end))
}

// moment is the zero time where there is none.
func moment(text rpc.Opt[string]) time.Time {
	at, _ := time.Parse(time.RFC3339, text.Or(""))
	return at
}
