package tuples

// Pair is defined by the protocol.
type Pair struct {
	Item0 string
	Item1 json.Number
}

// Rest is defined by the protocol.
type Rest []json.RawMessage

// Loose is defined by the protocol.
type Loose []json.RawMessage
