package constants

// Fixed is defined by the protocol.
//
// "text" is always "a". "whole" is always 7. "part" is always 1.5. "yes" is always true. "nothing" is
// always null.
type Fixed struct {
	List   json.RawMessage `json:"list,omitzero"`
	Object json.RawMessage `json:"object,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
