package enums

// Odd is one of a list of values.
type Odd string

const (
	OddEmpty Odd = ""
	// With a blank.
	OddAB_1    Odd = "a b"
	OddAB_2    Odd = "a-b"
	Odd1St     Odd = "1st"
	OddClass   Odd = "class"
	OddAB_3    Odd = "a/b"
	OddÉ       Odd = "\u00e9"
	OddValue_1 Odd = "\""
	OddValue_2 Odd = "*/"
)

// Mixed is one of a list of values.
//
// Its content is the JSON text of the value, a string with its quotes.
type Mixed string

const (
	MixedA       Mixed = "\"a\""
	Mixed1       Mixed = "1"
	Mixed2Point5 Mixed = "2.5"
	MixedTrue    Mixed = "true"
)

// WithNull is defined by the protocol.
type WithNull = rpc.Nullable[WithNullValue]

// WithNullValue is one of a list of values.
type WithNullValue string

const (
	WithNullValueA WithNullValue = "a"
	WithNullValueB WithNullValue = "b"
)

// Numbers is one of a list of values.
type Numbers int64

const (
	Numbers1      Numbers = 1
	Numbers2      Numbers = 2
	NumbersMinus3 Numbers = -3
)

// Named is one of a list of values.
type Named int64

const (
	NamedOne Named = 1
	NamedTwo Named = 2
)

// Known is one of a list of values.
//
// Other values may come; Known tells.
type Known string

const (
	// The first.
	KnownFirst Known = "a"
	KnownB     Known = "b"
)

// KnownCodes is one of several types.
//
// Value is one of *KnownCodes1, *KnownCodes2 or *KnownCodesInteger.
type KnownCodes struct {
	Value KnownCodesVariant
}

var armsOfKnownCodes = []rpc.Arm{
	{Kinds: "integer number"},
	{Kinds: "integer number"},
	{Kinds: "integer"},
}

// KnownCodesVariant is what a KnownCodes can hold: *KnownCodes1, *KnownCodes2 or *KnownCodesInteger.
type KnownCodesVariant interface {
	isKnownCodes()
}

// KnownCodes1 is the alternative "1".
type KnownCodes1 struct {
	Value int64
}

// KnownCodes2 is the alternative "2".
type KnownCodes2 struct {
	Value int64
}

// KnownCodesInteger is the alternative "integer".
type KnownCodesInteger struct {
	Value json.Number
}

// Said is one of a list of values.
type Said string

const (
	// Ex.
	SaidX Said = "x"
	SaidY Said = "y"
)
