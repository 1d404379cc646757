package additionalmembers

// Open is defined by the protocol.
type Open struct {
	A string `json:"a"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Closed is defined by the protocol.
type Closed struct {
	A string `json:"a"`
}

// Typed is defined by the protocol.
type Typed struct {
	A string `json:"a"`
	// Extra holds the members that are not listed here.
	Extra map[string]json.Number `json:"-"`
}

// Table is defined by the protocol.
type Table map[string][]json.Number

// Nothing is defined by the protocol.
type Nothing struct{}
