package rpc

// Opt is a member that may be absent, null or a value. The zero Opt is absent.
type Opt[T any] struct {
	value T
	state optState
}

type optState uint8

const (
	absent optState = iota
	null
	present
)

// Some is an Opt that holds v.
func Some[T any](v T) Opt[T] { return Opt[T]{value: v, state: present} }

// Null is an Opt that is present and null.
func Null[T any]() Opt[T] { return Opt[T]{state: null} }

// Get is the value, and whether there is one: false when absent and when null.
func (o Opt[T]) Get() (T, bool) { return o.value, o.state == present }

// Or is the value, or fallback when absent or null.
func (o Opt[T]) Or(fallback T) T {
	if o.state == present {
		return o.value
	}
	return fallback
}

// IsZero reports whether the member is absent.
func (o Opt[T]) IsZero() bool { return o.state == absent }

// IsNull reports whether the member is present and null.
func (o Opt[T]) IsNull() bool { return o.state == null }

// OrDefault is the member as a reader sees it who applies the default to an absent one.
func (o Opt[T]) OrDefault(fallback T) Nullable[T] {
	switch o.state {
	case absent:
		return NotNull(fallback)
	case null:
		return Nullable[T]{}
	}
	return NotNull(o.value)
}

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.state != present {
		return []byte("null"), nil
	}
	return Encode(o.value)
}

// Nullable is a value that may be null. The zero Nullable is null.
type Nullable[T any] struct {
	value T
	valid bool
}

// NotNull is a Nullable that holds v.
func NotNull[T any](v T) Nullable[T] { return Nullable[T]{value: v, valid: true} }

// Get is the value, and whether there is one.
func (n Nullable[T]) Get() (T, bool) { return n.value, n.valid }

// Or is the value, or fallback when null.
func (n Nullable[T]) Or(fallback T) T {
	if n.valid {
		return n.value
	}
	return fallback
}

// IsNull reports whether there is no value.
func (n Nullable[T]) IsNull() bool { return !n.valid }

// MarshalJSON writes the value, or null.
func (n Nullable[T]) MarshalJSON() ([]byte, error) {
	if !n.valid {
		return []byte("null"), nil
	}
	return Encode(n.value)
}

// Ptr is a pointer to a copy of v, for optional members.
func Ptr[T any](v T) *T { return &v }

// Deref is what p points to, or fallback when p is nil.
func Deref[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

// Nothing is the only value of a type that is always null.
type Nothing struct{}

// MarshalJSON writes null.
func (Nothing) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON takes null and nothing else.
func (n *Nothing) UnmarshalJSON(data []byte) error {
	return Unmarshal(data, func(in *Value) error { return ReadNull(n, in) })
}
