package keys

// Meta is defined by the protocol.
type Meta struct {
	Meta map[string]json.RawMessage `json:"_meta"`
	AB_2 *string                    `json:"a/b,omitzero"`
	X    *int64                     `json:"~x,omitzero"`
	Ref  *string                    `json:"$ref,omitzero"`
	ID   *string                    `json:"@id,omitzero"`
	XY   *string                    `json:"x-y,omitzero"`
	AB_1 *string                    `json:"a.b,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// ABC is defined by the protocol.
type ABC struct {
	V *Meta `json:"v,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Uses is defined by the protocol.
type Uses struct {
	X *ABC `json:"x,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
