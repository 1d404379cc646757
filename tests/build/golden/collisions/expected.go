package collisions

// Error is defined by the protocol.
type Error struct {
	Class string  `json:"class"`
	Def   *int64  `json:"def,omitzero"`
	Type  *string `json:"type,omitzero"`
	Self  *string `json:"self,omitzero"`
	None  *string `json:"None,omitzero"`
	Func  *string `json:"func,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Any is defined by the protocol.
type Any struct {
	Any *string `json:"any,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Map is defined by the protocol.
type Map map[string]string

// Object is defined by the protocol.
type Object struct {
	Object *Any `json:"object,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// String is defined by the protocol.
type String = string

// Record is defined by the protocol.
type Record struct {
	Extra_   *string `json:"extra,omitzero"`
	Validate *string `json:"validate,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// FooBar_2 is defined by the protocol.
type FooBar_2 struct {
	A *string `json:"a,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// FooBar_1 is defined by the protocol.
type FooBar_1 struct {
	B *string `json:"b,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Members is defined by the protocol.
type Members struct {
	FooBar_4 string  `json:"foo_bar"`
	FooBar_3 *string `json:"fooBar,omitzero"`
	FooBar_1 *string `json:"FooBar,omitzero"`
	FooBar_2 *string `json:"foo-bar,omitzero"`
	X1St     *string `json:"1st,omitzero"`
	Value    *string
	É        *string
	AB       *string `json:"a b,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Promise is defined by the protocol.
type Promise struct {
	Then *string `json:"then,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Unknown is one of several types.
//
// Value is one of *UnknownA or *UnknownB.
type Unknown struct {
	Value UnknownVariant
}

// UnknownVariant is what a Unknown can hold: *UnknownA or *UnknownB.
type UnknownVariant interface {
	isUnknown()
}

// UnknownA is defined by the protocol.
//
// "kind" is always "a".
type UnknownA struct {
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// UnknownB is defined by the protocol.
//
// "kind" is always "b".
type UnknownB struct {
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
