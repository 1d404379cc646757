package defaults

// Options is defined by the protocol.
type Options struct {
	Size  *int64          `json:"size,omitzero"`
	Point *Point          `json:"point,omitzero"`
	Tags  []string        `json:"tags,omitzero"`
	Any   json.RawMessage `json:"any,omitzero"`
	Text  *string         `json:"text,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Point is defined by the protocol.
type Point struct {
	X int64         `json:"x"`
	Y []json.Number `json:"y,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
