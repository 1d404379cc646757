package formats

// Formats is defined by the protocol.
type Formats struct {
	When *string `json:"when,omitzero"`
	Mail *string `json:"mail,omitzero"`
	ID   *string `json:"id,omitzero"`
	Link *string `json:"link,omitzero"`
	Data *string `json:"data,omitzero"`
	Own  *string `json:"own,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
