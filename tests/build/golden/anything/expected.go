package anything

// Empty is defined by the protocol.
type Empty = json.RawMessage

// Yes is defined by the protocol.
type Yes = json.RawMessage

// AllOfNothing is defined by the protocol.
type AllOfNothing = json.RawMessage

// Holder is defined by the protocol.
type Holder struct {
	A json.RawMessage            `json:"a"`
	B json.RawMessage            `json:"b,omitzero"`
	C json.RawMessage            `json:"c,omitzero"`
	D []json.RawMessage          `json:"d,omitzero"`
	E map[string]json.RawMessage `json:"e,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
