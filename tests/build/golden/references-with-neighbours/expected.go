package referenceswithneighbours

// Name is defined by the protocol.
type Name = string

// A short one.
type Short = json.RawMessage

// Holder is defined by the protocol.
type Holder struct {
	// Told here.
	Name Name       `json:"name"`
	Both HolderBoth `json:"both,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// HolderBoth is defined by the protocol.
type HolderBoth = json.RawMessage
