package namesofmembers

// Headers is defined by the protocol.
type Headers map[string]json.RawMessage

// Upper is defined by the protocol.
type Upper map[string]json.Number

// Beside is defined by the protocol.
type Beside struct {
	ID *string `json:"id,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
