package draft04

// Range is defined by the protocol.
type Range = json.Number

// Thing is defined by the protocol.
type Thing struct {
	N Range `json:"n"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
