package presence

// Form is defined by the protocol.
type Form struct {
	A string               `json:"a"`
	B rpc.Nullable[string] `json:"b"`
	C *string              `json:"c,omitzero"`
	D rpc.Opt[string]      `json:"d,omitzero"`
	E *string              `json:"e,omitzero"`
	F rpc.Opt[int64]       `json:"f,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
