package draft07

// Order is defined by the protocol.
type Order struct {
	Card    *string `json:"card,omitzero"`
	Address *string `json:"address,omitzero"`
	Gift    *bool   `json:"gift,omitzero"`
	Note    *string `json:"note,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Price is defined by the protocol.
type Price struct {
	Free   *bool        `json:"free,omitzero"`
	Amount *json.Number `json:"amount,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Same is defined by the protocol.
type Same struct {
	Free   *bool        `json:"free,omitzero"`
	Amount *json.Number `json:"amount,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Mixed is defined by the protocol.
type Mixed []json.RawMessage
