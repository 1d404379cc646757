package unevaluated

// Base is defined by the protocol.
type Base struct {
	A string `json:"a"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Strict is defined by the protocol.
type Strict struct {
	A string `json:"a"`
	B *int64 `json:"b,omitzero"`
	// Extra keeps the digits of integers beyond 64 bits; there are no other members.
	Extra map[string]json.RawMessage `json:"-"`
}

// Typed is defined by the protocol.
type Typed struct {
	A string `json:"a"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Items is defined by the protocol.
type Items []json.RawMessage
