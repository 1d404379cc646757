package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"protogen.dev/apflow"
	"protogen.dev/apflow/rpc"
)

// fault is what is wrong with one field; its path leads there from the params.
func fault(reason string, path ...any) apflow.FieldError {
	field := "params"
	items := make([]apflow.FieldErrorPathItem, len(path))
	for i, step := range path {
		field = fmt.Sprint(step)
		switch step := step.(type) {
		case int:
			items[i].Value = &apflow.FieldErrorPathItemInteger{Value: json.Number(field)}
		case string:
			items[i].Value = &apflow.FieldErrorPathItemString{Value: step}
		}
	}
	return apflow.FieldError{Field: field, Reason: reason, Path: items}
}

// faultData is the data of an error: one fault stands alone, several stand in a list.
func faultData(faults ...apflow.FieldError) *apflow.ErrorData {
	if len(faults) == 1 {
		return &apflow.ErrorData{Value: &faults[0]}
	}
	return &apflow.ErrorData{Value: &apflow.FieldErrors{Errors: faults}}
}

// invalidTask is nil where there is no fault.
func invalidTask(faults ...apflow.FieldError) error {
	if len(faults) == 0 {
		return nil
	}
	return &apflow.InvalidTaskSchemaError{Data: faultData(faults...)}
}

var step = regexp.MustCompile(`\.([^.\[]+)|\[(\d+)\]|\["(.*)"\]`)

// explain words params that break their schema, field by field (08-errors.md, Validation Errors).
func explain(_ string, _ json.RawMessage, violations []rpc.Violation) error {
	faults := make([]apflow.FieldError, len(violations))
	for i, violation := range violations {
		var path []any
		for _, found := range step.FindAllStringSubmatch(violation.Path, -1) {
			if index, err := strconv.Atoi(found[2]); err == nil {
				path = append(path, index)
			} else {
				path = append(path, found[1]+found[3])
			}
		}
		faults[i] = fault(violation.Message, path...)
	}
	return &apflow.InvalidParamsError{Data: faultData(faults...)}
}

// checkFields finds what the schema cannot say of a task: times, schedules, and inputs that its own schema describes.
func checkFields(task *apflow.Task) error {
	var faults []apflow.FieldError
	if text, ok := task.ScheduleStartAt.Get(); ok && !isInstant(text) {
		faults = append(faults, fault("no ISO 8601 time with an offset", "schedule_start_at"))
	}
	if text, ok := task.ScheduleEndAt.Get(); ok && !isInstant(text) {
		faults = append(faults, fault("no ISO 8601 time with an offset", "schedule_end_at"))
	}
	if *task.ScheduleEnabled {
		kind, hasKind := task.ScheduleType.Get()
		expression, hasExpression := task.ScheduleExpression.Get()
		if !hasKind || !hasExpression {
			faults = append(faults, fault("it needs a type and an expression", "schedule_enabled"))
		} else if !isExpression(kind, expression) {
			reason := fmt.Sprintf("%q is no expression of the type %s", expression, kind)
			faults = append(faults, fault(reason, "schedule_expression"))
		}
	}
	return invalidTask(append(faults, inputFaults(task)...)...)
}

func inputFaults(task *apflow.Task) []apflow.FieldError {
	schemas, _ := task.Schemas.Get()
	if schemas.InputSchema == nil {
		return nil
	}
	text, err := json.Marshal(schemas.InputSchema)
	if err != nil {
		return []apflow.FieldError{fault(err.Error(), "schemas", "input_schema")}
	}
	wanted, err := rpc.ParseType(text)
	if err != nil {
		return []apflow.FieldError{fault(err.Error(), "schemas", "input_schema")}
	}
	inputs, err := parseMap(task.Inputs)
	if err != nil {
		return []apflow.FieldError{fault(err.Error(), "inputs")}
	}
	var faults []apflow.FieldError
	for _, violation := range wanted.Validate(inputs) {
		faults = append(faults, fault(violation.Path+": "+violation.Message, "inputs"))
	}
	return faults
}

func parseMap(values map[string]json.RawMessage) (*rpc.Value, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	return rpc.Parse(text)
}

const (
	day   = `(?:mon|tue|wed|thu|fri|sat|sun)`
	date  = `(?:0?[1-9]|[12]\d|3[01])`
	clock = `(?:[01]\d|2[0-3]):[0-5]\d`
)

var expressions = map[apflow.ScheduleType]*regexp.Regexp{
	apflow.ScheduleTypeInterval: regexp.MustCompile(`^0*[1-9]\d*$`),
	apflow.ScheduleTypeDaily:    regexp.MustCompile(`^` + clock + `$`),
	apflow.ScheduleTypeWeekly:   regexp.MustCompile(`^` + day + `(?:,` + day + `)*@` + clock + `$`),
	apflow.ScheduleTypeMonthly:  regexp.MustCompile(`^` + date + `(?:,` + date + `)*@` + clock + `$`),
}

func isExpression(kind apflow.ScheduleType, expression string) bool {
	switch kind {
	case apflow.ScheduleTypeOnce:
		return isInstant(expression)
	case apflow.ScheduleTypeCron:
		return isCron(expression)
	}
	return expressions[kind].MatchString(expression)
}

var cronItem = regexp.MustCompile(`^(?:\*|(\d+)(?:-(\d+))?)(?:/[1-9]\d*)?$`)

// cronBounds are the least and the largest number of each of the five fields.
var cronBounds = [][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}

func isCron(expression string) bool {
	fields := strings.Fields(expression)
	if len(fields) != len(cronBounds) {
		return false
	}
	for i, field := range fields {
		for _, item := range strings.Split(field, ",") {
			if !isCronItem(item, cronBounds[i][0], cronBounds[i][1]) {
				return false
			}
		}
	}
	return true
}

func isCronItem(item string, low, high int) bool {
	found := cronItem.FindStringSubmatch(item)
	if found == nil {
		return false
	}
	for _, text := range found[1:] {
		if number, err := strconv.Atoi(text); text != "" && (err != nil || number < low || number > high) {
			return false
		}
	}
	return true
}
