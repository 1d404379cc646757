package numbers

// Sizes is defined by the protocol.
type Sizes struct {
	I      int64        `json:"i"`
	Int64  *int64       `json:"int64,omitzero"`
	Uint64 *uint64      `json:"uint64,omitzero"`
	Small  *int64       `json:"small,omitzero"`
	Float  *json.Number `json:"float,omitzero"`
	Share  *float64     `json:"share,omitzero"`
	Open   *json.Number `json:"open,omitzero"`
	Step   *json.Number `json:"step,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Big is defined by the protocol.
type Big []json.Number

// Numbers is defined by the protocol.
type Numbers []json.Number
