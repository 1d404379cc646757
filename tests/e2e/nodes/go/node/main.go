// Command node is a node of the AI Partner Up Flow Protocol, in memory, on the generated handler interface; it
// announces its port.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"protogen.dev/apflow"
	"protogen.dev/apflow/rpc"
)

type node struct {
	execution *execution
	receivers http.Client // of callbacks
}

func (n *node) TasksCreate(_ context.Context, params apflow.TasksCreateParams) (apflow.TasksCreateResult, error) {
	var none apflow.TasksCreateResult
	defer n.lock()()
	task := newTask(apflow.TaskInput(params), newID(), n.execution.now())
	if err := checkFields(task); err != nil {
		return none, err
	}
	all := n.execution.tasks
	if err := all.checkReferences(task); err != nil {
		return none, err
	}
	if err := all.checkOrigin(task); err != nil {
		return none, err
	}
	all[task.ID] = task
	if source := all[task.OriginalTaskID.Or("")]; source != nil && task.OriginType.Or("") == apflow.OriginTypeLink {
		source.HasReferences = rpc.Ptr(true)
	}
	n.execution.plan(task, time.Now())
	return apflow.TasksCreateResult{ID: task.ID}, nil
}

func (n *node) TasksGet(_ context.Context, params apflow.TasksGetParams) (apflow.TasksGetResult, error) {
	defer n.lock()()
	task, err := n.find(params.TaskID)
	if err != nil {
		return apflow.TasksGetResult{}, err
	}
	return apflow.TasksGetResult(*task), nil
}

func (n *node) TasksUpdate(_ context.Context, params apflow.TasksUpdateParams) (apflow.TasksUpdateResult, error) {
	var none apflow.TasksUpdateResult
	defer n.lock()()
	task, err := n.find(params.TaskID)
	if err != nil {
		return none, err
	}
	status := rpc.Deref(params.Updates.Status, task.Status)
	if err := checkUpdates(task, params.Updates); err != nil {
		return none, err
	}
	if err := checkTransition(task, status); err != nil {
		return none, err
	}
	changed := *task
	update(&changed, params.Updates)
	if err := checkFields(&changed); err != nil {
		return none, err
	}
	if err := n.execution.tasks.checkReferences(&changed); err != nil {
		return none, err
	}
	if !reflect.DeepEqual(changed, *task) {
		changed.UpdatedAt = rpc.Ptr(n.execution.now())
		*task = changed
		n.execution.plan(task, time.Now())
	}
	switch {
	case status == task.Status:
	case status == apflow.TaskStatusCancelled:
		n.execution.cancel(task, "Cancelled")
	default:
		n.execution.reset(task)
		n.execution.wake()
	}
	return apflow.TasksUpdateResult{ID: task.ID, Status: task.Status}, nil
}

func (n *node) TasksDelete(_ context.Context, params apflow.TasksDeleteParams) (apflow.TasksDeleteResult, error) {
	var none apflow.TasksDeleteResult
	defer n.lock()()
	task, err := n.find(params.TaskID)
	if err != nil {
		return none, err
	}
	var reasons []string
	if task.Status != apflow.TaskStatusPending {
		reasons = append(reasons, fmt.Sprintf("it is %s", task.Status))
	}
	if len(n.execution.tasks.childrenOf(task.ID)) > 0 {
		reasons = append(reasons, "it has children")
	}
	if len(n.execution.tasks.dependantsOf(task.ID)) > 0 {
		reasons = append(reasons, "others depend on it")
	}
	if reasons != nil {
		return none, &apflow.CannotDeleteTaskError{Data: faultData(fault(strings.Join(reasons, ", "), "task_id"))}
	}
	delete(n.execution.tasks, task.ID)
	return none, nil
}

func (n *node) TasksList(_ context.Context, params apflow.TasksListParams) (apflow.TasksListResult, error) {
	defer n.lock()()
	found := n.execution.tasks.inOrder(func(task *apflow.Task) bool {
		return (params.Status == nil || *params.Status == task.Status) &&
			(params.UserID == nil || *params.UserID == task.UserID.Or(""))
	})
	total := int64(len(found))
	limit, offset := params.LimitOrDefault(), params.OffsetOrDefault()
	first := min(offset, total)
	page := found[first:min(first+limit, total)]
	return apflow.TasksListResult{Tasks: snapshots(page), Total: &total, Limit: &limit, Offset: &offset}, nil
}

func (n *node) TasksExecute(
	ctx context.Context, params apflow.TasksExecuteParams, events *rpc.Emitter[apflow.StreamEvent],
) (apflow.TasksExecuteResult, error) {
	var none apflow.TasksExecuteResult
	metadata, push, err := besideParams(rpc.CallFrom(ctx))
	if err != nil {
		return none, err
	}
	r, err := n.accept(params.Tasks)
	if err != nil {
		return none, err
	}
	if push != nil {
		go func() { _ = r.follow(func(task apflow.Task) error { n.callBack(push, task); return nil }) }()
	}
	if params.UseStreamingOrDefault() || rpc.Deref(metadata.Stream, false) {
		if err := r.follow(func(task apflow.Task) error { return events.Emit(news(task, r.root)) }); err != nil {
			return none, err
		}
	}
	return apflow.TasksExecuteResult{RootTaskID: r.root, Status: "started"}, nil
}

func (n *node) TasksCancel(_ context.Context, params apflow.TasksCancelParams) (apflow.TasksCancelResult, error) {
	var none apflow.TasksCancelResult
	defer n.lock()()
	task, err := n.find(params.TaskID)
	if err != nil {
		return none, err
	}
	// A task that runs ends here, too; for all others the rules know whether it can.
	if task.Status != apflow.TaskStatusInProgress {
		if err := checkTransition(task, apflow.TaskStatusCancelled); err != nil {
			return none, err
		}
	}
	reason := "Cancelled"
	if text, ok := params.Extra["error_message"]; ok && json.Unmarshal(text, &reason) != nil || reason == "" {
		reason = "Cancelled"
	}
	if task.Status != apflow.TaskStatusCancelled {
		n.execution.cancel(task, reason)
	}
	return apflow.TasksCancelResult{TaskID: task.ID}, nil
}

func (n *node) TasksTree(_ context.Context, params apflow.TasksTreeParams) (apflow.TasksTreeResult, error) {
	defer n.lock()()
	task, err := n.find(params.TaskID)
	if err != nil {
		return apflow.TasksTreeResult{}, err
	}
	return apflow.TasksTreeResult(n.tree(task)), nil
}

func (n *node) tree(task *apflow.Task) apflow.TaskTreeNode {
	children := []apflow.TaskTreeNode{}
	for _, child := range n.execution.tasks.childrenOf(task.ID) {
		children = append(children, n.tree(child))
	}
	return apflow.TaskTreeNode{Task: *task, Children: children}
}

func (n *node) TasksChildren(_ context.Context, params apflow.TasksChildrenParams) (apflow.TasksChildrenResult, error) {
	defer n.lock()()
	parent, err := n.find(params.ParentID)
	if err != nil {
		return apflow.TasksChildrenResult{}, err
	}
	return apflow.TasksChildrenResult{Children: snapshots(n.execution.tasks.childrenOf(parent.ID))}, nil
}

func (n *node) TasksCopy(_ context.Context, params apflow.TasksCopyParams) (apflow.TasksCopyResult, error) {
	defer n.lock()()
	original, err := n.find(params.TaskID)
	if err != nil {
		return apflow.TasksCopyResult{}, err
	}
	all := n.execution.tasks
	sources := []*apflow.Task{original}
	if params.CopyChildrenOrDefault() {
		sources = append(sources, all.childrenOf(original.ID)...)
		for at := 0; at < len(sources); at++ { // what they depend on comes along, once
			for _, dependency := range sources[at].Dependencies {
				if needed := all[dependency.ID]; needed != nil && !slices.Contains(sources, needed) {
					sources = append(sources, needed)
				}
			}
		}
	}
	ids := map[string]string{}
	for _, source := range sources {
		ids[source.ID] = newID()
	}
	root := ids[original.ID]
	for _, source := range sources {
		parent := rpc.Null[string]()
		if source != original {
			parent = rpc.Some(root)
			if id, ok := ids[source.ParentID.Or("")]; ok {
				parent = rpc.Some(id)
			}
		}
		all[ids[source.ID]] = copied(source, ids, parent, n.execution.now())
		source.HasReferences = rpc.Ptr(true)
	}
	return apflow.TasksCopyResult{OriginalTaskID: original.ID, CopiedTaskID: root}, nil
}

// accept begins to execute the tasks of a call; nothing has happened where they are refused.
func (n *node) accept(inputs []apflow.TaskInput) (*run, error) {
	defer n.lock()()
	tree, ids := tasks{}, []string(nil)
	for _, input := range inputs {
		id := strings.ToLower(rpc.Deref(input.ID, newID()))
		if tree[id] != nil {
			return nil, &apflow.TaskTreeValidationFailedError{Data: faultData(fault(id+" is there twice", "tasks", "id"))}
		}
		task := n.execution.tasks[id]
		if task == nil {
			task = newTask(input, id, n.execution.now())
		}
		if task.Status == apflow.TaskStatusInProgress {
			return nil, &apflow.TaskAlreadyExecutingError{Data: faultData(fault(id+" is in progress", "tasks"))}
		}
		if err := checkFields(task); err != nil {
			return nil, err
		}
		tree[id], ids = task, append(ids, id)
	}
	root, err := tree.checkTree(ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if schemas, ok := tree[id].Schemas.Get(); ok && executors[schemas.Method] == nil {
			data := faultData(fault(schemas.Method+" is not registered", "schemas", "method"))
			return nil, &apflow.ExecutorNotFoundError{Data: data}
		}
	}
	var ended []*apflow.Task
	for _, id := range ids {
		n.execution.tasks[id] = tree[id]
		if hasEnded(tree[id]) {
			ended = append(ended, tree[id])
		}
	}
	for _, id := range n.execution.reset(ended...) {
		if tree[id] == nil {
			ids = append(ids, id)
		}
	}
	r := newRun(root.ID, ids)
	n.execution.begin(r)
	return r, nil
}

func (n *node) lock() (unlock func()) {
	n.execution.mu.Lock()
	return n.execution.mu.Unlock
}

func (n *node) find(id string) (*apflow.Task, error) {
	if task := n.execution.tasks[strings.ToLower(id)]; task != nil {
		return task, nil
	}
	return nil, &apflow.TaskNotFoundError{Data: &apflow.TaskNotFoundData{TaskID: id}}
}

// snapshots are tasks as they are now: they are written when the lock is free again.
func snapshots(found []*apflow.Task) []apflow.Task {
	list := make([]apflow.Task, len(found))
	for i, task := range found {
		list[i] = *task
	}
	return list
}

// besideParams is what a request may say beside its params (06-interfaces.md): that it wants a stream, and callbacks.
func besideParams(call *rpc.Call) (metadata apflow.RequestMetadata, push *apflow.PushNotificationConfig, err error) {
	var configuration apflow.RequestConfiguration
	if err := readMember(call, "metadata", "RequestMetadata", &metadata); err != nil {
		return metadata, nil, err
	}
	if err := readMember(call, "configuration", "RequestConfiguration", &configuration); err != nil {
		return metadata, nil, err
	}
	push = configuration.PushNotificationConfig
	if push != nil {
		if to, err := url.Parse(push.URL); err != nil || to.Scheme != "http" && to.Scheme != "https" {
			return metadata, nil, &apflow.InvalidParamsError{Data: faultData(fault("no address of HTTP", "url"))}
		}
	}
	return metadata, push, nil
}

func readMember(call *rpc.Call, name, typeName string, into json.Unmarshaler) error {
	text := call.Member(name)
	if text == nil || string(text) == "null" {
		return nil
	}
	if err := apflow.Validate(typeName, text); err != nil {
		return &apflow.InvalidParamsError{Data: faultData(fault(err.Error(), name))}
	}
	return into.UnmarshalJSON(text)
}

func news(task apflow.Task, root string) apflow.StreamEvent {
	name := apflow.StreamEventNameTaskStatusUpdate
	switch task.Status {
	case apflow.TaskStatusCompleted:
		name = apflow.StreamEventNameTaskCompleted
	case apflow.TaskStatusFailed:
		name = apflow.StreamEventNameTaskFailed
	case apflow.TaskStatusCancelled:
		name = apflow.StreamEventNameTaskCancelled
	}
	data := apflow.StreamEventData{TaskID: task.ID, Status: task.Status, Progress: task.Progress, RootTaskID: &root}
	return apflow.StreamEvent{Event: name, Data: data}
}

// callBack tells a receiver how a task is doing. It is sent once; that it was lost is the receiver's matter.
func (n *node) callBack(push *apflow.PushNotificationConfig, task apflow.Task) {
	progress := json.Number(strconv.FormatFloat(*task.Progress, 'f', -1, 64))
	text, err := json.Marshal(apflow.PushCallback{
		TaskID: task.ID, Status: task.Status, Progress: &progress, Result: task.Result,
	})
	if err != nil {
		log.Print(err)
		return
	}
	request, err := http.NewRequest(http.MethodPost, push.URL, bytes.NewReader(text))
	if err != nil {
		log.Print(err)
		return
	}
	for name, value := range push.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	if answer, err := n.receivers.Do(request); err == nil {
		_ = answer.Body.Close()
	}
}

// newID is a UUID of version 4.
func newID() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails since Go 1.24
	bits[6], bits[8] = bits[6]&0x0f|0x40, bits[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bits[:4], bits[4:6], bits[6:8], bits[8:10], bits[10:])
}

func main() {
	served := &node{execution: newExecution(), receivers: http.Client{Timeout: 5 * time.Second}}
	handler := rpc.NewHTTPHandler(apflow.NewNodeDispatcher(served, rpc.WithExplanation(explain)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Apflow-Protocol-Version", apflow.ProtocolVersion)
		handler.ServeHTTP(w, r)
	})))
}
