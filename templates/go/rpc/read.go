package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DecodeError says where JSON does not fit the Go type it is read into.
type DecodeError struct {
	Path    string
	Problem string
}

func (e *DecodeError) Error() string { return e.Path + ": " + e.Problem }

// Mismatch is the error for a value that is not what the type wants.
func (v *Value) Mismatch(want string) error {
	return &DecodeError{Path: "$", Problem: "expected " + want + ", got " + v.typeName()}
}

// within puts a step of the path in front of an error from below.
func within(step string, err error) error {
	var inner *DecodeError
	if !errors.As(err, &inner) {
		return err
	}
	return &DecodeError{Path: "$" + step + strings.TrimPrefix(inner.Path, "$"), Problem: inner.Problem}
}

// Unmarshal parses the data and hands the value to read.
func Unmarshal(data []byte, read func(*Value) error) error {
	in, err := Parse(data)
	if err != nil {
		return err
	}
	return read(in)
}

// New reads a value into a fresh T and returns the pointer to it.
func New[T any](read func(*T, *Value) error, in *Value) (*T, error) {
	v := new(T)
	if err := read(v, in); err != nil {
		return nil, err
	}
	return v, nil
}

// Must is the value that a JSON text of the schema, such as a default, stands for. The generator has
// checked the text against the type, so an error here is a defect of the generator.
func Must[T any](text string, read func(*T, *Value) error) T {
	var v T
	if err := Unmarshal([]byte(text), func(in *Value) error { return read(&v, in) }); err != nil {
		panic(err)
	}
	return v
}

// Object reads the members of a JSON object; its first error sticks.
type Object struct {
	in   *Value
	fate []fate
	few  [32]fate
	err  error
}

// fate is what became of a member.
type fate uint8

const (
	unread fate = iota
	taken
	clipped // a field holds the nearest integer, the text goes where unknown members go
)

// ReadObject starts reading an object.
func ReadObject(in *Value) *Object {
	o := &Object{in: in}
	if in.kind != KindObject {
		o.err = in.Mismatch("object")
		return o
	}
	if len(in.members) <= len(o.few) {
		o.fate = o.few[:len(in.members)]
	} else {
		o.fate = make([]fate, len(in.members))
	}
	return o
}

// take hands the member of that name to read; false where there is none or an error came before.
func (o *Object) take(name string, read func(*Value) error) bool {
	if o.err != nil {
		return false
	}
	at := o.in.find(name)
	if at < 0 {
		return false
	}
	value := &o.in.members[at].value
	value.clipped = false
	if err := read(value); err != nil {
		o.err = within(memberPath(name), err)
		return false
	}
	o.fate[at] = taken
	if value.clipped {
		o.fate[at] = clipped
	}
	return true
}

func (o *Object) missing(name string) {
	if o.err == nil {
		o.err = &DecodeError{Path: "$", Problem: "missing member " + strconv.Quote(name)}
	}
}

// Required reads a member that must be there.
func Required[T any](o *Object, name string, into *T, read func(*T, *Value) error) {
	if !o.take(name, func(in *Value) error { return read(into, in) }) {
		o.missing(name)
	}
}

// Optional reads a member if it is there and leaves the field alone if not.
func Optional[T any](o *Object, name string, into *T, read func(*T, *Value) error) {
	o.take(name, func(in *Value) error { return read(into, in) })
}

// OptionalPtr reads a member into a new value if it is there.
func OptionalPtr[T any](o *Object, name string, into **T, read func(*T, *Value) error) {
	o.take(name, func(in *Value) error {
		*into = new(T)
		return read(*into, in)
	})
}

// OptionalNull reads a member that may be absent or null.
func OptionalNull[T any](o *Object, name string, into *Opt[T], read func(*T, *Value) error) {
	o.take(name, func(in *Value) error {
		if in.kind == KindNull {
			*into = Null[T]()
			return nil
		}
		into.state = present
		return read(&into.value, in)
	})
}

// Const checks a member that must be there and always has the same value, given as JSON text.
func (o *Object) Const(name, text string) {
	if !o.take(name, func(in *Value) error { return in.equals(text) }) {
		o.missing(name)
	}
}

func (v *Value) equals(text string) error {
	if v.raw == text {
		return nil
	}
	want, err := parseText(text)
	if err != nil {
		return err
	}
	if want.key() != v.key() {
		return &DecodeError{Path: "$", Problem: "expected " + text}
	}
	return nil
}

// Rest keeps the members that no field took.
func (o *Object) Rest(extra *map[string]json.RawMessage) error {
	return Rest(o, extra, ReadAny)
}

// Rest keeps the members that no field took, each read as a T.
func Rest[T any](o *Object, extra *map[string]T, read func(*T, *Value) error) error {
	if o.err != nil {
		return o.err
	}
	*extra = nil
	for at, fate := range o.fate {
		if fate == taken {
			continue
		}
		if *extra == nil {
			*extra = make(map[string]T)
		}
		var v T
		m := &o.in.members[at]
		if err := read(&v, &m.value); err != nil {
			return within(memberPath(m.name), err)
		}
		(*extra)[strings.Clone(m.name)] = v
	}
	return nil
}

// Exact ends an object that allows no other members; it keeps the text of clipped integers.
func (o *Object) Exact(extra *map[string]json.RawMessage) error {
	if o.err != nil {
		return o.err
	}
	for at, fate := range o.fate {
		if fate == unread {
			return &DecodeError{Path: "$", Problem: "unknown member " + strconv.Quote(o.in.members[at].name)}
		}
	}
	return o.Rest(extra)
}

// Done ends an object that allows no other members.
func (o *Object) Done() error {
	var none map[string]json.RawMessage
	return o.Exact(&none)
}

// ReadString reads a string.
func ReadString(into *string, in *Value) error {
	if in.kind != KindString {
		return in.Mismatch("string")
	}
	*into = strings.Clone(in.text)
	return nil
}

// ReadBool reads true or false.
func ReadBool(into *bool, in *Value) error {
	if in.kind != KindBoolean {
		return in.Mismatch("boolean")
	}
	*into = in.truth
	return nil
}

// ReadNull reads null.
func ReadNull(_ *Nothing, in *Value) error {
	if in.kind != KindNull {
		return in.Mismatch("null")
	}
	return nil
}

func (v *Value) integer(most int64) (string, error) {
	if v.kind == KindNumber {
		if text, ok := integerText(v.text, most); ok {
			return text, nil
		}
	}
	return "", v.Mismatch("integer")
}

// ReadInt64 reads an integer of 64 bits; `1.0` and `1e2` are integers.
func ReadInt64(into *int64, in *Value) error {
	if err := ReadClippedInt64(into, in); err != nil {
		return err
	}
	if in.clipped {
		in.clipped = false
		return &DecodeError{Path: "$", Problem: "the integer needs more than 64 bits"}
	}
	return nil
}

// ReadUint64 is ReadInt64 for integers that are not negative.
func ReadUint64(into *uint64, in *Value) error {
	if err := ReadClippedUint64(into, in); err != nil {
		return err
	}
	if in.clipped {
		in.clipped = false
		return &DecodeError{Path: "$", Problem: "the integer is negative or needs more than 64 bits"}
	}
	return nil
}

// ReadClippedInt64 reads an integer into a field of 64 bits. One that does not fit becomes the largest or
// smallest that does, and the object keeps the text.
func ReadClippedInt64(into *int64, in *Value) error {
	text, err := in.integer(digits64)
	if err != nil {
		return err
	}
	if *into, err = strconv.ParseInt(text, 10, 64); err != nil {
		in.clipped = true
		*into = math.MaxInt64
		if text[0] == '-' {
			*into = math.MinInt64
		}
	}
	return nil
}

// ReadClippedUint64 is ReadClippedInt64 for integers that are not negative.
func ReadClippedUint64(into *uint64, in *Value) error {
	text, err := in.integer(digits64)
	if err != nil {
		return err
	}
	if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
		in.clipped = true
		*into = math.MaxUint64
		if text[0] == '-' {
			*into = 0
		}
	}
	return nil
}

// ReadFloat64 reads a number that a float64 holds.
func ReadFloat64(into *float64, in *Value) error {
	if in.kind != KindNumber {
		return in.Mismatch("number")
	}
	f, err := strconv.ParseFloat(in.text, 64)
	if err != nil {
		return &DecodeError{Path: "$", Problem: "the number is out of range"}
	}
	*into = f
	return nil
}

// ReadNumber reads the text of a number.
func ReadNumber(into *json.Number, in *Value) error {
	if in.kind != KindNumber {
		return in.Mismatch("number")
	}
	*into = json.Number(strings.Clone(in.text))
	return nil
}

// ReadInteger reads the text of an integer of any size, written without fraction and exponent.
func ReadInteger(into *json.Number, in *Value) error {
	text, err := in.integer(digitsSafe)
	if err != nil {
		return err
	}
	*into = json.Number(strings.Clone(text))
	return nil
}

// ReadAny keeps the JSON text of whatever comes.
func ReadAny(into *json.RawMessage, in *Value) error {
	*into = in.Raw()
	return nil
}

// ReadText keeps the JSON text of a scalar in a string: integers in plain form, strings in shortest form.
func ReadText(into *string, in *Value) error {
	switch in.kind {
	case KindNumber:
		text, _ := integerText(in.text, digitsSafe)
		*into = strings.Clone(text)
		return nil
	case KindString:
		text, err := Encode(in.text)
		*into = string(text)
		return err
	default:
		*into = string(appendCompact(nil, in.raw))
		return nil
	}
}

// ReadOnly reads a value that can only be one.
func ReadOnly[T comparable](read func(*T, *Value) error, value T) func(*T, *Value) error {
	return func(into *T, in *Value) error {
		if err := read(into, in); err != nil {
			return err
		}
		return Known(*into == value)
	}
}

// Known is the error for a value that its enum does not have, and nil for one that it has.
func Known(known bool) error {
	if known {
		return nil
	}
	return &DecodeError{Path: "$", Problem: "the value is none of those allowed"}
}

// Tag is the string that tells the alternatives of a union apart; ok is false where there is none.
func Tag(in *Value, name string) (tag string, ok bool) {
	member := in.Member(name)
	if member == nil || member.kind != KindString {
		return "", false
	}
	return strings.Clone(member.text), true
}

// UnknownTag is the error for a tag that no alternative of a closed union has.
func UnknownTag(in *Value, name string) error {
	if in.kind != KindObject {
		return in.Mismatch("object")
	}
	return &DecodeError{Path: "$", Problem: "no alternative has this " + strconv.Quote(name)}
}

// ReadList reads an array.
func ReadList[T any](read func(*T, *Value) error) func(*[]T, *Value) error {
	return func(into *[]T, in *Value) error {
		if in.kind != KindArray {
			return in.Mismatch("array")
		}
		list := make([]T, len(in.items))
		for i := range in.items {
			if err := read(&list[i], &in.items[i]); err != nil {
				return within(indexPath(i), err)
			}
		}
		*into = list
		return nil
	}
}

// ReadMap reads an object with members of one type.
func ReadMap[T any](read func(*T, *Value) error) func(*map[string]T, *Value) error {
	return func(into *map[string]T, in *Value) error {
		if in.kind != KindObject {
			return in.Mismatch("object")
		}
		object := make(map[string]T, len(in.members))
		for i := range in.members {
			var v T
			m := &in.members[i]
			if err := read(&v, &m.value); err != nil {
				return within(memberPath(m.name), err)
			}
			object[strings.Clone(m.name)] = v
		}
		*into = object
		return nil
	}
}

// ReadNullable reads a value or null.
func ReadNullable[T any](read func(*T, *Value) error) func(*Nullable[T], *Value) error {
	return func(into *Nullable[T], in *Value) error {
		if in.kind == KindNull {
			*into = Nullable[T]{}
			return nil
		}
		into.valid = true
		return read(&into.value, in)
	}
}

// ReadPtr reads into a new value.
func ReadPtr[T any](read func(*T, *Value) error) func(**T, *Value) error {
	return func(into **T, in *Value) error {
		*into = new(T)
		return read(*into, in)
	}
}

// ReadTuple reads an array of exactly these members.
func ReadTuple(in *Value, members ...func(*Value) error) error {
	if in.kind != KindArray {
		return in.Mismatch("array")
	}
	if len(in.items) != len(members) {
		return &DecodeError{Path: "$", Problem: fmt.Sprintf("expected %d members, got %d", len(members), len(in.items))}
	}
	for i, read := range members {
		if err := read(&in.items[i]); err != nil {
			return within(indexPath(i), err)
		}
	}
	return nil
}

// Into is one member for ReadTuple.
func Into[T any](into *T, read func(*T, *Value) error) func(*Value) error {
	return func(in *Value) error { return read(into, in) }
}
