package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"protogen.dev/apflow"
	"protogen.dev/apflow/rpc"
)

// tasks are all tasks by their ids, which are kept in lower case. A task is changed member by member, but never what
// its members refer to: a copy of the struct stays as it is.
type tasks map[string]*apflow.Task

// newTask is a task of what a caller has given; the other fields are the node's own.
func newTask(input apflow.TaskInput, id, now string) *apflow.Task {
	task := &apflow.Task{
		ID:                 id,
		ParentID:           lowered(input.ParentID),
		UserID:             orNull(input.UserID),
		Name:               input.Name,
		Priority:           rpc.Ptr(rpc.Deref(input.Priority, 2)),
		Inputs:             input.Inputs,
		Schemas:            orNull(input.Schemas),
		Params:             orNull(input.Params),
		Dependencies:       whole(input.Dependencies),
		CreatedAt:          rpc.Ptr(now),
		UpdatedAt:          rpc.Ptr(now),
		OriginType:         orNull(input.OriginType),
		OriginalTaskID:     lowered(input.OriginalTaskID),
		HasReferences:      rpc.Ptr(false),
		ScheduleType:       orNull(input.ScheduleType),
		ScheduleExpression: orNull(input.ScheduleExpression),
		ScheduleEnabled:    rpc.Ptr(rpc.Deref(input.ScheduleEnabled, false)),
		ScheduleStartAt:    orNull(input.ScheduleStartAt),
		ScheduleEndAt:      orNull(input.ScheduleEndAt),
		NextRunAt:          rpc.Null[string](),
		LastRunAt:          rpc.Null[string](),
		MaxRuns:            orNull(input.MaxRuns),
		RunCount:           rpc.Ptr[int64](0),
	}
	if task.Inputs == nil {
		task.Inputs = map[string]json.RawMessage{}
	}
	refresh(task)
	return task
}

// update puts the given fields in place of the task's own.
func update(task *apflow.Task, updates apflow.TaskUpdates) {
	replace(&task.ParentID, lowered(updates.ParentID), !updates.ParentID.IsZero())
	replace(&task.UserID, updates.UserID, !updates.UserID.IsZero())
	replace(&task.Name, rpc.Deref(updates.Name, ""), updates.Name != nil)
	replace(&task.Priority, updates.Priority, updates.Priority != nil)
	replace(&task.Inputs, updates.Inputs, updates.Inputs != nil)
	replace(&task.Schemas, updates.Schemas, !updates.Schemas.IsZero())
	replace(&task.Params, updates.Params, !updates.Params.IsZero())
	replace(&task.Dependencies, whole(updates.Dependencies), updates.Dependencies != nil)
	replace(&task.OriginType, updates.OriginType, !updates.OriginType.IsZero())
	replace(&task.OriginalTaskID, lowered(updates.OriginalTaskID), !updates.OriginalTaskID.IsZero())
	replace(&task.ScheduleType, updates.ScheduleType, !updates.ScheduleType.IsZero())
	replace(&task.ScheduleExpression, updates.ScheduleExpression, !updates.ScheduleExpression.IsZero())
	replace(&task.ScheduleEnabled, updates.ScheduleEnabled, updates.ScheduleEnabled != nil)
	replace(&task.ScheduleStartAt, updates.ScheduleStartAt, !updates.ScheduleStartAt.IsZero())
	replace(&task.ScheduleEndAt, updates.ScheduleEndAt, !updates.ScheduleEndAt.IsZero())
	replace(&task.MaxRuns, updates.MaxRuns, !updates.MaxRuns.IsZero())
}

func replace[T any](field *T, value T, isGiven bool) {
	if isGiven {
		*field = value
	}
}

// orNull is null where a member is absent: a node shows every field.
func orNull[T any](given rpc.Opt[T]) rpc.Opt[T] {
	if given.IsZero() {
		return rpc.Null[T]()
	}
	return given
}

func lowered(id rpc.Opt[string]) rpc.Opt[string] {
	if text, ok := id.Get(); ok {
		return rpc.Some(strings.ToLower(text))
	}
	return rpc.Null[string]()
}

func whole(given []apflow.Dependency) []apflow.Dependency {
	dependencies := make([]apflow.Dependency, len(given))
	for i, dependency := range given {
		dependency.ID = strings.ToLower(dependency.ID)
		dependency.Required = rpc.Ptr(dependency.RequiredOrDefault())
		dependencies[i] = dependency
	}
	return dependencies
}

// refresh gives a task what it has before it runs.
func refresh(task *apflow.Task) {
	task.Status = apflow.TaskStatusPending
	task.Result = rpc.Null[map[string]json.RawMessage]()
	task.Error = rpc.Null[string]()
	task.Progress = rpc.Ptr(0.0)
	task.StartedAt = rpc.Null[string]()
	task.CompletedAt = rpc.Null[string]()
}

// enter is one change of state with its effects (04-execution-lifecycle.md).
func enter(task *apflow.Task, status apflow.TaskStatus, now string) {
	switch status {
	case apflow.TaskStatusPending:
		refresh(task)
	case apflow.TaskStatusInProgress:
		task.StartedAt = rpc.Some(now)
	default:
		task.CompletedAt = rpc.Some(now)
	}
	task.Status = status
	task.UpdatedAt = rpc.Ptr(now)
}

// copied is a copy under a new id; ids leads from the tasks that are copied with it to their copies.
func copied(task *apflow.Task, ids map[string]string, parent rpc.Opt[string], now string) *apflow.Task {
	result := *task
	refresh(&result)
	result.ID, result.ParentID = ids[task.ID], parent
	result.CreatedAt, result.UpdatedAt = rpc.Ptr(now), rpc.Ptr(now)
	result.OriginType, result.OriginalTaskID = rpc.Some(apflow.OriginTypeCopy), rpc.Some(task.ID)
	result.HasReferences = rpc.Ptr(false)
	result.Dependencies = slices.Clone(task.Dependencies)
	for i, dependency := range result.Dependencies {
		if id, ok := ids[dependency.ID]; ok {
			result.Dependencies[i].ID = id
		}
	}
	return &result
}

func hasEnded(task *apflow.Task) bool {
	return task.Status != apflow.TaskStatusPending && task.Status != apflow.TaskStatusInProgress
}

// isReady reports whether nothing a pending task depends on keeps it from starting: each has ended, and been completed
// where it must.
func (all tasks) isReady(task *apflow.Task) bool {
	if task.Status != apflow.TaskStatusPending {
		return false
	}
	for _, dependency := range task.Dependencies {
		other, ok := all[dependency.ID]
		if ok && (!hasEnded(other) || *dependency.Required && other.Status != apflow.TaskStatusCompleted) {
			return false
		}
	}
	return true
}

// inOrder are the tasks that match, in the order of their creation.
func (all tasks) inOrder(matches func(*apflow.Task) bool) []*apflow.Task {
	var found []*apflow.Task
	for _, task := range all {
		if matches(task) {
			found = append(found, task)
		}
	}
	slices.SortFunc(found, func(a, b *apflow.Task) int { return strings.Compare(*a.CreatedAt, *b.CreatedAt) })
	return found
}

func (all tasks) childrenOf(id string) []*apflow.Task {
	return all.inOrder(func(task *apflow.Task) bool { return task.ParentID.Or("") == id })
}

func (all tasks) dependantsOf(id string) []*apflow.Task {
	return all.inOrder(func(task *apflow.Task) bool {
		return slices.ContainsFunc(task.Dependencies, func(each apflow.Dependency) bool { return each.ID == id })
	})
}

// checkReferences finds parents and dependencies that are not there, or lead back to the task.
func (all tasks) checkReferences(task *apflow.Task) error {
	at := func(id string) *apflow.Task {
		if id == task.ID {
			return task
		}
		return all[id]
	}
	above := map[string]bool{}
	for id, ok := task.ParentID.Get(); ok && !above[id]; {
		above[id] = true
		if id == task.ID {
			return &apflow.TaskTreeValidationFailedError{Data: faultData(fault("parents in a circle", "parent_id"))}
		}
		parent := at(id)
		if parent == nil {
			return &apflow.InvalidParentReferenceError{Data: faultData(fault("there is no task "+id, "parent_id"))}
		}
		id, ok = parent.ParentID.Get()
	}
	for _, dependency := range task.Dependencies {
		if at(dependency.ID) == nil {
			data := faultData(fault("there is no task "+dependency.ID, "dependencies"))
			return &apflow.InvalidDependencyReferenceError{Data: data}
		}
	}
	if cycle := findCycle(task, at); cycle != nil {
		return &apflow.CircularDependencyError{Data: &apflow.CircularDependencyData{Cycle: cycle}}
	}
	return nil
}

// findCycle is the ids of a circle of dependencies through a task, which stands at both ends.
func findCycle(start *apflow.Task, at func(id string) *apflow.Task) []string {
	seen := map[string]bool{}
	waiting := [][]string{{start.ID}}
	for len(waiting) > 0 {
		path := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		task := at(path[len(path)-1])
		if task == nil {
			continue
		}
		for _, dependency := range task.Dependencies {
			next := append(slices.Clone(path), dependency.ID)
			if dependency.ID == start.ID {
				return next
			}
			if !seen[dependency.ID] {
				seen[dependency.ID] = true
				waiting = append(waiting, next)
			}
		}
	}
	return nil
}

// checkTree finds the root of a whole tree; ids has the order of its tasks.
func (all tasks) checkTree(ids []string) (root *apflow.Task, err error) {
	roots := 0
	for _, id := range ids {
		if all[id].ParentID.IsNull() {
			root, roots = all[id], roots+1
		}
	}
	if roots != 1 {
		reason := fmt.Sprintf("a tree has one root, and here are %d", roots)
		return nil, &apflow.TaskTreeValidationFailedError{Data: faultData(fault(reason, "tasks"))}
	}
	for _, id := range ids {
		if err := all.checkReferences(all[id]); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// checkOrigin demands that the source of a link or an archive is completed.
func (all tasks) checkOrigin(task *apflow.Task) error {
	origin := task.OriginType.Or("")
	source := all[task.OriginalTaskID.Or("")]
	isLinked := origin == apflow.OriginTypeLink || origin == apflow.OriginTypeArchive
	if isLinked && (source == nil || source.Status != apflow.TaskStatusCompleted) {
		return invalidTask(fault(fmt.Sprintf("the source of a %s is completed", origin), "original_task_id"))
	}
	return nil
}

// checkTransition allows what a caller may change of a task's state: give it up before it runs, or have a failed one
// run anew.
func checkTransition(task *apflow.Task, to apflow.TaskStatus) error {
	givesUp := task.Status == apflow.TaskStatusPending && to == apflow.TaskStatusCancelled
	runsAnew := task.Status == apflow.TaskStatusFailed && to == apflow.TaskStatusPending
	if to == task.Status || givesUp || runsAnew {
		return nil
	}
	reason := "only the node executes tasks"
	if hasEnded(task) {
		reason = fmt.Sprintf("%s is final", task.Status)
	}
	return &apflow.InvalidStateTransitionError{Data: &apflow.InvalidStateTransitionData{
		TaskID: task.ID, CurrentStatus: task.Status, Reason: &reason,
		AttemptedTransition: rpc.Ptr(fmt.Sprintf("%s -> %s", task.Status, to)),
	}}
}

// checkUpdates protects what an update must leave as it is: the id always, parent and owner while the task runs, all of
// an archive.
func checkUpdates(task *apflow.Task, updates apflow.TaskUpdates) error {
	var faults []apflow.FieldError
	if id, ok := updates.Extra["id"]; ok && string(id) != `"`+task.ID+`"` {
		faults = append(faults, fault("it cannot change", "updates", "id"))
	}
	if task.Status == apflow.TaskStatusInProgress {
		if !updates.ParentID.IsZero() && lowered(updates.ParentID) != task.ParentID {
			faults = append(faults, fault("it cannot change while the task runs", "updates", "parent_id"))
		}
		if !updates.UserID.IsZero() && updates.UserID != task.UserID {
			faults = append(faults, fault("it cannot change while the task runs", "updates", "user_id"))
		}
	}
	if task.OriginType.Or("") == apflow.OriginTypeArchive {
		faults = append(faults, fault("an archive is frozen", "origin_type"))
	}
	return invalidTask(faults...)
}

func isInstant(text string) bool {
	_, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	return err == nil
}
