package inheritance

// Base is defined by the protocol.
type Base struct {
	ID    string  `json:"id"`
	State *string `json:"state,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Child is defined by the protocol.
type Child struct {
	ID    string  `json:"id"`
	State *string `json:"state,omitzero"`
	Name  string  `json:"name"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Narrow is defined by the protocol.
type Narrow struct {
	ID    string      `json:"id"`
	State NarrowState `json:"state"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// NarrowState is one of a list of values.
type NarrowState string

const (
	NarrowStateOn  NarrowState = "on"
	NarrowStateOff NarrowState = "off"
)

// Twice is defined by the protocol.
type Twice struct {
	ID     string      `json:"id"`
	State  NarrowState `json:"state"`
	Name   string      `json:"name"`
	Extra_ *int64      `json:"extra,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Only another name.
type Single struct {
	ID    string  `json:"id"`
	State *string `json:"state,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}
