package recursion

// Tree is defined by the protocol.
type Tree struct {
	Value    int64  `json:"value"`
	Children []Tree `json:"children,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// JSON is one of several types.
//
// Value is one of *JSONNull, *JSONBoolean, *JSONNumber, *JSONString, *JSONList or *JSONObject.
type JSON struct {
	Value JSONVariant
}

var armsOfJSON = []rpc.Arm{
	{Kinds: "null"},
	{Kinds: "boolean"},
	{Kinds: "integer number"},
	{Kinds: "string"},
	{Kinds: "array"},
	{Kinds: "object"},
}

// JSONVariant is what a JSON can hold: *JSONNull, *JSONBoolean, *JSONNumber, *JSONString, *JSONList or
// *JSONObject.
type JSONVariant interface {
	isJSON()
}

// JSONNull is the alternative "null".
type JSONNull struct {
	Value rpc.Nothing
}

// JSONBoolean is the alternative "boolean".
type JSONBoolean struct {
	Value bool
}

// JSONNumber is the alternative "number".
type JSONNumber struct {
	Value json.Number
}

// JSONString is the alternative "string".
type JSONString struct {
	Value string
}

// JSONList is the alternative "list".
type JSONList struct {
	Value []JSON
}

// JSONObject is the alternative "object".
type JSONObject struct {
	Value map[string]JSON
}

// Left is defined by the protocol.
type Left struct {
	Right *Right `json:"right,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Right is defined by the protocol.
type Right struct {
	Left rpc.Opt[Left] `json:"left,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
