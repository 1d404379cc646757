package toy_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"protogen.test/sdk/toy"
	"protogen.test/sdk/toy/rpc"
)

const scalars = `{"string":"a","int":1,"exact":1.10,"any":[ 1 ],"nothing":null,"version":"2.0"}`

func decode[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := toy.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAbsentNullAndValueAreThreeThings(t *testing.T) {
	absent := decode[toy.Scalars](t, scalars)
	if _, ok := absent.Maybe.Get(); ok || !absent.Maybe.IsZero() || absent.Maybe.IsNull() {
		t.Errorf("absent: %+v", absent.Maybe)
	}
	null := decode[toy.Scalars](t, strings.Replace(scalars, "{", `{"maybe":null,`, 1))
	if _, ok := null.Maybe.Get(); ok || null.Maybe.IsZero() || !null.Maybe.IsNull() {
		t.Errorf("null: %+v", null.Maybe)
	}
	for end, value := range map[string]rpc.Opt[string]{`"}`: {}, `,"maybe":null}`: rpc.Null[string](), `,"maybe":"v"}`: rpc.Some("v")} {
		v := *absent
		v.Maybe = value
		if got := encode(t, v); !strings.HasSuffix(got, end) || strings.Contains(got, "maybe") == value.IsZero() {
			t.Errorf("%s: got %s", end, got)
		}
	}
	if got := absent.MaybeOrDefault().Or("null"); got != "x" {
		t.Errorf("default of absent: %s", got)
	}
	if got := null.MaybeOrDefault(); !got.IsNull() {
		t.Errorf("default of null: %+v", got)
	}
}

func TestDefaultsAreReadAndNeverWritten(t *testing.T) {
	v := decode[toy.Scalars](t, scalars)
	got := []any{v.FlagOrDefault(), v.ColorOrDefault(), v.ListOrDefault(), v.MapOrDefault(), v.PointOrDefault()}
	want := []any{
		true, toy.ColorDarkBlue_1, []json.Number{"1", "2"}, map[string]rpc.Nullable[json.Number]{}, toy.Point{X: 1, Y: rpc.Ptr[int64](-2)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if text := encode(t, v); text != `{"string":"a","int":1,"exact":1.10,"any":[1],"nothing":null,"version":"2.0"}` {
		t.Errorf("got %s", text)
	}
	v.Flag, v.List = rpc.Ptr(false), []json.Number{}
	if v.FlagOrDefault() || len(v.ListOrDefault()) != 0 {
		t.Error("a value gave way to the default")
	}
}

func TestClippedIntegersFollowTheirField(t *testing.T) {
	v := decode[toy.Point](t, `{"x":9223372036854775808,"y":-99999999999999999999}`)
	if v.X != math.MaxInt64 || *v.Y != math.MinInt64 {
		t.Errorf("got %d and %d", v.X, *v.Y)
	}
	v.X = 7
	if text := encode(t, v); text != `{"x":7,"y":-99999999999999999999}` {
		t.Errorf("changed: %s", text)
	}
	v.X, v.Y = math.MaxInt64, nil
	v.Extra["x"] = json.RawMessage("5")
	if text := encode(t, v); text != `{"x":9223372036854775807}` {
		t.Errorf("the kept text does not fit the field: %s", text)
	}
	u := decode[toy.Scalars](t, strings.Replace(scalars, "{", `{"unsigned":18446744073709551616,`, 1))
	if *u.Unsigned != math.MaxUint64 || !strings.Contains(encode(t, u), `"unsigned":18446744073709551616,`) {
		t.Errorf("got %d", *u.Unsigned)
	}
}

func TestFieldsWinOverExtra(t *testing.T) {
	v := toy.Tree{Value: toy.Scalar{Value: &toy.ScalarString{Value: "s"}}, Extra: map[string]json.RawMessage{
		"value": json.RawMessage(`1`), "left": json.RawMessage(`1`), "z": json.RawMessage(` { } `), "a": nil,
	}}
	if text := encode(t, v); text != `{"value":"s","a":null,"z":{}}` {
		t.Errorf("got %s", text)
	}
}

func TestZeroValuesEncodeAsTheSchemaAllows(t *testing.T) {
	for want, v := range map[string]any{
		`{"x":0}`: toy.Point{}, `{}`: toy.Sealed{}, `[]`: toy.Strings(nil), `{"n":0}`: toy.Typed{}, `{"next":null}`: toy.Chain{},
		`{"type":"","func":"","_meta":{},"$ref":"","a/b":""}`: toy.Keywords{},
		`{"kind":"circle","radius":0}`:                        toy.Circle{},
	} {
		if text := encode(t, v); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

func TestUnionsHoldPointersToTheirAlternatives(t *testing.T) {
	switch v := decode[toy.Shape](t, `{"kind":"square","side":2}`).Value.(type) {
	case *toy.Square:
		if v.Side != 2 {
			t.Errorf("got %+v", v)
		}
	default:
		t.Errorf("got %T", v)
	}
	for text, want := range map[string]toy.LooseVariant{
		`{"x":1}`:                      &toy.Point{X: 1},
		`{"x":"1","name":"n"}`:         &toy.LooseOption2{X: "1", Name: "n"},
		`[1]`:                          &toy.LooseList{Value: []toy.Loose{{Value: &toy.LooseNumber{Value: "1"}}}},
		`{"kind":"square","side":1.0}`: &toy.Shape{Value: &toy.Square{Side: 1}},
		`"red"`:                        rpc.Ptr(toy.ColorRed),
	} {
		if got := decode[toy.Loose](t, text).Value; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v", text, got)
		}
	}
}

func TestWhatHasNoJSONFormIsAnError(t *testing.T) {
	for want, v := range map[string]any{
		"cannot encode $: Shape holds no alternative":                   toy.Shape{},
		"cannot encode $: a pointer is nil":                             toy.Shape{Value: (*toy.Circle)(nil)},
		"cannot encode $: blue is none of the values of its enum":       toy.Color("blue"),
		"cannot encode $.exact: \"x\" is no JSON number":                toy.Scalars{Exact: "x"},
		"cannot encode $.any: invalid JSON at byte 1: expected a digit": toy.Scalars{Any: json.RawMessage("-")},
		"cannot encode $.string: a string holds invalid UTF-8":          toy.Scalars{String: "\xff"},
		"cannot encode $.ratio: JSON has no NaN and no infinity":        toy.Scalars{Ratio: rpc.Ptr(math.NaN())},
		"cannot encode $.value: Scalar holds no alternative":            toy.Tree{},
		"cannot encode $[\"a b\"]: \"1.5\" is no integer":               toy.Typed{Extra: map[string]toy.TypedValue{"a b": {Value: &toy.TypedValueInteger{Value: "1.5"}}}},
		"cannot encode $.children.value: Scalar holds no alternative":   toy.Tree{Value: toy.Scalar{Value: new(toy.ScalarNull)}, Children: []toy.Tree{{}}},
	} {
		_, err := toy.Encode(v)
		var failure *rpc.EncodeError
		if !errors.As(err, &failure) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestErrorsOfTypesHavePaths(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:           "$: expected object, got array",
		`{}`:           `$: missing member "value"`,
		`{"value":[]}`: "$.value: expected one of the union's alternatives, got array",
		`{"value":1,"children":[{"value":1},{"value":1,"left":{"a b":1}}]}`: `$.children[1].left: missing member "value"`,
	} {
		var v toy.Tree
		err := v.UnmarshalJSON([]byte(text))
		var failure *rpc.DecodeError
		if !errors.As(err, &failure) || err.Error() != want {
			t.Errorf("%s: got %v", text, err)
		}
	}
	var sealed toy.Sealed
	if err := json.Unmarshal([]byte(`{"on":true,"off":1}`), &sealed); err == nil || !strings.Contains(err.Error(), `$: unknown member "off"`) {
		t.Errorf("got %v", err)
	}
}

func TestOpenEnumsKeepWhatTheyDoNotKnow(t *testing.T) {
	v := decode[toy.OpenColor](t, `"mauve"`)
	if *v != "mauve" || v.Known() || encode(t, v) != `"mauve"` || !toy.OpenColorGreen.Known() {
		t.Errorf("got %s", *v)
	}
	if err := json.Unmarshal([]byte(`"mauve"`), new(toy.Color)); err == nil {
		t.Error("a closed enum took an unknown value")
	}
	if m := decode[toy.MixedValue](t, ` 1.0 `); *m != toy.MixedValue1 || toy.MixedValue1 != "1" {
		t.Errorf("got %s", *m)
	}
}

// wire answers every request with the same result and keeps what it was sent.
type wire struct {
	sent   []string
	result string
}

func (w *wire) Call(_ context.Context, request *rpc.Request, _ *rpc.Exchange) (*rpc.Response, error) {
	w.sent = append(w.sent, request.Method+" "+string(request.Params))
	result, err := rpc.Parse([]byte(w.result))
	return &rpc.Response{Result: result}, err
}

func (w *wire) Notify(_ context.Context, request *rpc.Request) error {
	w.sent = append(w.sent, request.Method+" "+string(request.Params))
	return nil
}

func (w *wire) Close() error { return nil }

func TestParamsTravelAsTheMethodWantsThem(t *testing.T) {
	w := &wire{result: "[1]"}
	c := toy.NewServerClient(w)
	ctx := t.Context()
	for _, point := range []toy.Point{{X: 1}, {X: 1, Y: rpc.Ptr[int64](2)}} {
		if list, err := c.Place(ctx, point); err != nil || len(list) != 1 {
			t.Errorf("got %v, %v", list, err)
		}
	}
	w.result = "null"
	if text, err := c.TypeSelect(ctx, toy.Point{X: 1}); err != nil || !text.IsNull() {
		t.Errorf("got %v, %v", text, err)
	}
	if err := c.Bare(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Call(ctx, "raw", nil); err != nil {
		t.Error(err)
	}
	want := []string{"place [1]", "place [1,2]", `type/select {"x":1}`, "bare {}", "raw "}
	if !reflect.DeepEqual(w.sent, want) {
		t.Errorf("sent %q", w.sent)
	}
	var invalid *rpc.InvalidResultError
	if _, err := c.Call_(ctx); !errors.As(err, &invalid) {
		t.Errorf("got %v", err)
	}
	var failure *rpc.EncodeError
	if _, err := toy.NewServerClient(w).Watch(ctx); !errors.As(err, &invalid) || errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownTypesAreRefused(t *testing.T) {
	if _, err := toy.Decode("Nope", []byte("{}")); err == nil || err.Error() != `the protocol has no type "Nope"` {
		t.Errorf("got %v", err)
	}
	if err := toy.Validate("Point", []byte(`{"x":1}`)); err != nil {
		t.Error(err)
	}
	var invalid *rpc.ValidationError
	if err := toy.Validate("Scalars", []byte(`{"int":"1","list":[1,"x"]}`)); !errors.As(err, &invalid) || len(invalid.Errors) != 7 {
		t.Errorf("got %v", err)
	}
}
