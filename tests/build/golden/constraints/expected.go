package constraints

// Text is defined by the protocol.
type Text = string

// List is defined by the protocol.
type List []json.Number

// Has is defined by the protocol.
type Has []json.RawMessage

// Sized is defined by the protocol.
type Sized map[string]json.RawMessage

// Ahead is defined by the protocol.
type Ahead = string
