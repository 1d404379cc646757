package taggedunions

// Circle is defined by the protocol.
//
// "kind" is always "circle".
type Circle struct {
	R int64 `json:"r"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Square is defined by the protocol.
//
// "kind" is always "square".
type Square struct {
	A int64 `json:"a"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Shape is one of several types.
//
// Value is one of *Circle or *Square.
type Shape struct {
	Value ShapeVariant
}

// ShapeVariant is what a Shape can hold: *Circle or *Square.
type ShapeVariant interface {
	isShape()
}

// Pet is one of several types.
//
// Value is one of *Cat or *Dog.
type Pet struct {
	Value PetVariant
}

// PetVariant is what a Pet can hold: *Cat or *Dog.
type PetVariant interface {
	isPet()
}

// Cat is defined by the protocol.
//
// "petType" is always "cat".
type Cat struct {
	Lives *int64 `json:"lives,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Dog is defined by the protocol.
//
// "petType" is always "dog".
type Dog struct {
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Dollar is one of several types.
//
// Value is one of *DollarText or *DollarOption2.
type Dollar struct {
	Value DollarVariant
}

// DollarVariant is what a Dollar can hold: *DollarText or *DollarOption2.
type DollarVariant interface {
	isDollar()
}

// DollarText is defined by the protocol.
//
// "$type" is always "Text".
type DollarText struct {
	V string `json:"v"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// DollarOption2 is defined by the protocol.
//
// "$type" is always "None".
type DollarOption2 struct {
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Base is defined by the protocol.
type Base struct {
	ID string `json:"id"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Event is one of several types.
//
// Value is one of *EventOption1 or *EventOption2.
type Event struct {
	Value EventVariant
}

// EventVariant is what a Event can hold: *EventOption1 or *EventOption2.
type EventVariant interface {
	isEvent()
}

// EventOption1 is defined by the protocol.
//
// "type" is always "made".
type EventOption1 struct {
	ID string  `json:"id"`
	By *string `json:"by,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// EventOption2 is defined by the protocol.
//
// "type" is always "gone".
type EventOption2 struct {
	ID string `json:"id"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
