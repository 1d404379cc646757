package nullable

// Note is defined by the protocol.
type Note struct {
	ByType  rpc.Nullable[string]           `json:"by_type"`
	ByAny   rpc.Nullable[Level]            `json:"by_any"`
	ByOne   rpc.Nullable[NoteByOneOption2] `json:"by_one"`
	ByEnum  rpc.Opt[string]                `json:"by_enum,omitzero"`
	ByConst *rpc.Nothing                   `json:"by_const,omitzero"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// NoteByOneOption2 is defined by the protocol.
type NoteByOneOption2 struct {
	ID int64 `json:"id"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Level is one of a list of values.
type Level string

const (
	LevelLow  Level = "low"
	LevelHigh Level = "high"
)

// Maybe is defined by the protocol.
type Maybe = rpc.Nullable[json.Number]
