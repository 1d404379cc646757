package draft201909

// Tree is defined by the protocol.
type Tree struct {
	Kids []Tree `json:"kids,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Together is defined by the protocol.
type Together map[string]json.RawMessage

// Pair is defined by the protocol.
type Pair []json.RawMessage
