package textsandmarks

// A text.
//
// With */ and """ and // and `ticks`,
//
//   - a list
//
// Deprecated: the protocol marks it so.
type Doc struct {
	// Ends */ here, and """ there, `${x}` and \ too.
	//
	// Read-only: set by the receiver.
	ID string `json:"id"`
	// Use id.
	//
	// Deprecated: the protocol marks it so.
	Old *string `json:"old,omitzero"`
	// Write-only: never sent back.
	Secret *string `json:"secret,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
