package untaggedunions

// ByKey is one of several types.
//
// Value is one of *ByKeyOption1, *ByKeyOption2 or *ByKeyOption3.
type ByKey struct {
	Value ByKeyVariant
}

var armsOfByKey = []rpc.Arm{
	{Kinds: "object", Required: []string{"url"}, Type: "ByKeyOption1"},
	{Kinds: "object", Required: []string{"path"}, Type: "ByKeyOption2"},
	{Kinds: "object", Required: []string{"path", "line"}, Type: "ByKeyOption3"},
}

// ByKeyVariant is what a ByKey can hold: *ByKeyOption1, *ByKeyOption2 or *ByKeyOption3.
type ByKeyVariant interface {
	isByKey()
}

// ByKeyOption1 is defined by the protocol.
type ByKeyOption1 struct {
	URL string `json:"url"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// ByKeyOption2 is defined by the protocol.
type ByKeyOption2 struct {
	Path string `json:"path"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// ByKeyOption3 is defined by the protocol.
type ByKeyOption3 struct {
	Path string `json:"path"`
	Line int64  `json:"line"`
	// Extra keeps the members that are not listed here, and the digits of integers beyond 64 bits.
	Extra map[string]json.RawMessage `json:"-"`
}

// Scalar is one of several types.
//
// Value is one of *ScalarString, *ScalarInteger, *ScalarBoolean or *ScalarNull.
type Scalar struct {
	Value ScalarVariant
}

var armsOfScalar = []rpc.Arm{
	{Kinds: "string"},
	{Kinds: "integer"},
	{Kinds: "boolean"},
	{Kinds: "null"},
}

// ScalarVariant is what a Scalar can hold: *ScalarString, *ScalarInteger, *ScalarBoolean or
// *ScalarNull.
type ScalarVariant interface {
	isScalar()
}

// ScalarString is the alternative "string".
type ScalarString struct {
	Value string
}

// ScalarInteger is the alternative "integer".
type ScalarInteger struct {
	Value json.Number
}

// ScalarBoolean is the alternative "boolean".
type ScalarBoolean struct {
	Value bool
}

// ScalarNull is the alternative "null".
type ScalarNull struct {
	Value rpc.Nothing
}

// OneOrMany is one of several types.
//
// Value is one of *OneOrManyString or *OneOrManyList.
type OneOrMany struct {
	Value OneOrManyVariant
}

var armsOfOneOrMany = []rpc.Arm{
	{Kinds: "string"},
	{Kinds: "array"},
}

// OneOrManyVariant is what a OneOrMany can hold: *OneOrManyString or *OneOrManyList.
type OneOrManyVariant interface {
	isOneOrMany()
}

// OneOrManyString is the alternative "string".
type OneOrManyString struct {
	Value string
}

// OneOrManyList is the alternative "list".
type OneOrManyList struct {
	Value []string
}

// Types is one of several types.
//
// Value is one of *TypesString, *TypesList or *TypesObject.
type Types struct {
	Value TypesVariant
}

var armsOfTypes = []rpc.Arm{
	{Kinds: "string"},
	{Kinds: "array"},
	{Kinds: "object"},
}

// TypesVariant is what a Types can hold: *TypesString, *TypesList or *TypesObject.
type TypesVariant interface {
	isTypes()
}

// TypesString is the alternative "string".
type TypesString struct {
	Value string
}

// TypesList is the alternative "list".
type TypesList struct {
	Value []json.Number
}

// TypesObject is the alternative "object".
type TypesObject struct {
	Value map[string]json.Number
}

// Numbers is one of several types.
//
// Value is one of *NumbersInteger or *NumbersNumber.
type Numbers struct {
	Value NumbersVariant
}

var armsOfNumbers = []rpc.Arm{
	{Kinds: "integer"},
	{Kinds: "integer number"},
}

// NumbersVariant is what a Numbers can hold: *NumbersInteger or *NumbersNumber.
type NumbersVariant interface {
	isNumbers()
}

// NumbersInteger is the alternative "integer".
type NumbersInteger struct {
	Value json.Number
}

// NumbersNumber is the alternative "number".
type NumbersNumber struct {
	Value json.Number
}
