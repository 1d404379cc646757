package conditions

// NotText is defined by the protocol.
type NotText = json.RawMessage

// Card is defined by the protocol.
type Card struct {
	Kind   CardKind `json:"kind"`
	Number *string  `json:"number,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// CardKind is one of a list of values.
type CardKind string

const (
	CardKindCard CardKind = "card"
	CardKindCash CardKind = "cash"
)

// Together is defined by the protocol.
type Together struct {
	A *string `json:"a,omitzero"`
	B *string `json:"b,omitzero"`
	C *string `json:"c,omitzero"`
	D *string `json:"d,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// OneOfGroups is defined by the protocol.
type OneOfGroups struct {
	A *string `json:"a,omitzero"`
	B *string `json:"b,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// AtLeast is defined by the protocol.
type AtLeast struct {
	A *string `json:"a,omitzero"`
	B *string `json:"b,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
