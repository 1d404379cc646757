package openunions

// Text is defined by the protocol.
//
// "kind" is always "text".
type Text struct {
	Text string `json:"text"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Image is defined by the protocol.
//
// "kind" is always "image".
type Image struct {
	URL string `json:"url"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Other is defined by the protocol.
type Other struct {
	Kind string `json:"kind"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Part is one of several types.
//
// Value is one of *Text, *Image or *UnknownPart.
type Part struct {
	Value PartVariant
}

// PartVariant is what a Part can hold: *Text, *Image or *UnknownPart.
type PartVariant interface {
	isPart()
}

// UnknownPart keeps an alternative of Part that this SDK does not know, as it came.
type UnknownPart struct {
	Tag string
	Raw json.RawMessage
}
