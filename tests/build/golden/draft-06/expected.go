package draft06

// Even is defined by the protocol.
type Even = json.Number

// Names is defined by the protocol.
type Names map[string]json.RawMessage

// Only is defined by the protocol.
type Only = string

// Some is defined by the protocol.
type Some []json.RawMessage
