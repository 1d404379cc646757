package hand_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"testing"

	"protogen.test/sdk/hand"
	"protogen.test/sdk/hand/rpc"
)

func TestAnUnknownTagIsKept(t *testing.T) {
	var zoo hand.Zoo
	text := `{"star":{"kind":"yeti","size":9007199254740993},"rest":[{"kind":"wolf","name":"w"},{"kind":"cat"}]}`
	if err := json.Unmarshal([]byte(text), &zoo); err != nil {
		t.Fatal(err)
	}
	unknown, ok := zoo.Star.Value.(*hand.UnknownAnimal)
	if !ok || unknown.Tag != "yeti" || string(unknown.Raw) != `{"kind":"yeti","size":9007199254740993}` {
		t.Errorf("got %#v", zoo.Star.Value)
	}
	if dog, ok := zoo.Rest[0].Value.(*hand.Dog); !ok || dog.Kind != hand.DogKindGrey {
		t.Errorf("got %#v", zoo.Rest[0].Value)
	}
	if got, err := hand.Encode(zoo); err != nil || string(got) != text {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestStructsThatContainThemselvesStandBehindPointers(t *testing.T) {
	knot := hand.Knot{Span: hand.KnotSpan{Item0: "1", Item1: rpc.NotNull(&hand.Knot{}), Item2: []string{"a"}}, Self: rpc.Some(&hand.Knot{})}
	text, err := hand.Encode(knot)
	if want := `{"span":[1,{"span":[0,null,[]]},["a"]],"self":{"span":[0,null,[]]}}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}

type keeper struct {
	hand.UnimplementedRightHandler
}

func (keeper) Feed(_ context.Context, animal hand.Animal) error {
	if _, ok := animal.Value.(*hand.Cat); ok {
		return &hand.HungryError{Data: rpc.Ptr(rpc.NotNull("still"))}
	}
	return &hand.FullError{Data: json.RawMessage("[1]")}
}

func (keeper) ListAll(context.Context) ([]hand.Animal, error) {
	return []hand.Animal{{Value: &hand.Cat{}}}, nil
}

func (keeper) Raw(_ context.Context, params json.RawMessage) (map[string]json.RawMessage, error) {
	return map[string]json.RawMessage{"got": params}, nil
}

func (keeper) Stop(_ context.Context, events *rpc.Emitter[rpc.Nullable[string]]) error {
	return errors.Join(events.Emit(rpc.NotNull("a")), events.Emit(rpc.Nullable[string]{}))
}

func TestMethodsOfEveryForm(t *testing.T) {
	there := httptest.NewServer(rpc.NewHTTPHandler(hand.NewRightDispatcher(keeper{})))
	defer there.Close()
	c := hand.NewRightClient(rpc.NewHTTP(there.URL))
	ctx := t.Context()

	// Both families have an error 1: that of the role called counts.
	var full *hand.FullError
	if err := c.Feed(ctx, hand.Animal{Value: &hand.Dog{Kind: hand.DogKindDog, Name: "d"}}); !errors.As(err, &full) || string(full.Data) != "[1]" {
		t.Errorf("got %#v", err)
	}
	list, err := c.ListAll(ctx)
	if err != nil || !reflect.DeepEqual(list, []hand.Animal{{Value: &hand.Cat{}}}) {
		t.Errorf("got %v, %v", list, err)
	}
	raw, err := c.Raw(ctx, json.RawMessage(`{"a":1}`))
	if err != nil || string(raw["got"]) != `{"a":1}` {
		t.Errorf("got %s, %v", raw, err)
	}
	stream := c.StopStream(ctx)
	var got []string
	for event, err := range stream.Events() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.Or("null"))
	}
	if !reflect.DeepEqual(got, []string{"a", "null"}) {
		t.Errorf("got %q", got)
	}
}
