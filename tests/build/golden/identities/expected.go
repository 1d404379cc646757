package identities

// Anchored is defined by the protocol.
type Anchored = string

// ByAnchor is defined by the protocol.
type ByAnchor struct {
	A Anchored `json:"a"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Inner is defined by the protocol.
type Inner struct {
	V *int64 `json:"v,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// ByID is defined by the protocol.
type ByID struct {
	V *Inner `json:"v,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Node is defined by the protocol.
type Node struct {
	Next *Node `json:"next,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// V is defined by the protocol.
type V = json.Number
