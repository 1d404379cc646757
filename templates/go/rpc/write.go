package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writer builds compact JSON. Its first error sticks and every later call is ignored.
type Writer struct {
	buf    []byte
	err    error
	frames []frame
}

// frame is one open object: what it keeps beside its fields, and the names its fields have taken.
type frame struct {
	extra map[string]json.RawMessage
	known []string
	key   string
	empty bool
}

// EncodeError says which part of a Go value has no JSON form.
type EncodeError struct {
	Path    string
	Problem string
}

func (e *EncodeError) Error() string { return fmt.Sprintf("cannot encode %s: %s", e.Path, e.Problem) }

// Marshal is the JSON text that write produces.
func Marshal(write func(*Writer)) ([]byte, error) {
	w := new(Writer)
	write(w)
	if w.err != nil {
		return nil, w.err
	}
	return w.buf, nil
}

// Encode is the compact JSON text of a generated type, of a pointer to one, or of any value of encoding/json.
func Encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case json.Marshaler:
		text, err := v.MarshalJSON()
		if err != nil {
			return nil, err
		}
		return Compact(text)
	case *json.RawMessage:
		return Compact(*v)
	case string:
		return Marshal(func(w *Writer) { WriteString(v, w) })
	case *string:
		return Encode(*v)
	case json.Number:
		return Marshal(func(w *Writer) { WriteNumber(v, w) })
	case *json.Number:
		return Encode(*v)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return Compact(out.Bytes())
}

// Compact is the text without white space, after checking that it is one JSON value; no text at all is null.
func Compact(text []byte) ([]byte, error) {
	if text == nil {
		return []byte("null"), nil
	}
	source := string(text)
	if _, err := parseText(source); err != nil {
		return nil, err
	}
	return appendCompact(make([]byte, 0, len(text)), source), nil
}

// appendCompact appends valid JSON without its white space.
func appendCompact(out []byte, text string) []byte {
	for at := 0; at < len(text); {
		switch text[at] {
		case ' ', '\t', '\n', '\r':
			at++
		case '"':
			end := at + 1
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			out = append(out, text[at:end+1]...)
			at = end + 1
		default:
			out = append(out, text[at])
			at++
		}
	}
	return out
}

// Fail records why the value being written has no JSON form.
func (w *Writer) Fail(problem string) {
	if w.err == nil {
		var path strings.Builder
		path.WriteByte('$')
		for _, f := range w.frames {
			path.WriteString(memberPath(f.key))
		}
		w.err = &EncodeError{Path: path.String(), Problem: problem}
	}
}

// Open starts an object; extra holds members beside its fields, and the exact text of clipped integers.
func (w *Writer) Open(extra map[string]json.RawMessage) {
	w.buf = append(w.buf, '{')
	w.frames = append(w.frames, frame{extra: extra, empty: true})
}

// Close ends the object that was opened last, without the members of its extra.
func (w *Writer) Close() {
	w.buf = append(w.buf, '}')
	w.frames = w.frames[:len(w.frames)-1]
}

// CloseExtra writes the members of extra that no field has the name of, in order of their names, and ends the object.
func (w *Writer) CloseExtra() {
	top := &w.frames[len(w.frames)-1]
	for _, name := range slices.Sorted(maps.Keys(top.extra)) {
		if !slices.Contains(top.known, name) {
			w.key(name)
			WriteAny(top.extra[name], w)
		}
	}
	w.Close()
}

// CloseTyped is CloseExtra for members of one type.
func CloseTyped[T any](w *Writer, extra map[string]T, write func(T, *Writer)) {
	top := &w.frames[len(w.frames)-1]
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if !slices.Contains(top.known, name) {
			w.key(name)
			write(extra[name], w)
		}
	}
	w.Close()
}

func (w *Writer) key(name string) {
	top := &w.frames[len(w.frames)-1]
	if !top.empty {
		w.buf = append(w.buf, ',')
	}
	top.empty = false
	top.key = name
	w.str(name)
	w.buf = append(w.buf, ':')
}

// Const writes a member whose value is always the same JSON text.
func (w *Writer) Const(name, text string) {
	w.know(name)
	w.key(name)
	w.buf = append(w.buf, text...)
}

func (w *Writer) know(name string) {
	top := &w.frames[len(w.frames)-1]
	top.known = append(top.known, name)
}

// Put writes a member.
func Put[T any](w *Writer, name string, v T, write func(T, *Writer)) { PutIf(w, name, true, v, write) }

// PutIf writes a member that is present only sometimes.
func PutIf[T any](w *Writer, name string, present bool, v T, write func(T, *Writer)) {
	w.know(name)
	if present {
		w.key(name)
		write(v, w)
	}
}

// PutPtr writes a member unless its pointer is nil.
func PutPtr[T any](w *Writer, name string, v *T, write func(T, *Writer)) {
	w.know(name)
	if v != nil {
		w.key(name)
		write(*v, w)
	}
}

// PutOpt writes a member that may be absent or null.
func PutOpt[T any](w *Writer, name string, v Opt[T], write func(T, *Writer)) {
	w.know(name)
	if v.state == absent {
		return
	}
	w.key(name)
	if v.state == null {
		w.null()
		return
	}
	write(v.value, w)
}

func (w *Writer) null() { w.buf = append(w.buf, "null"...) }

// plain marks the bytes that stand for themselves in a JSON string.
func plain(c byte) bool { return c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf }

func (w *Writer) str(s string) {
	const hex = "0123456789abcdef"
	w.buf = append(w.buf, '"')
	start := 0
	for at := 0; at < len(s); {
		c := s[at]
		if plain(c) {
			at++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[at:])
			if r == utf8.RuneError && size == 1 {
				w.Fail("a string holds invalid UTF-8")
				return
			}
			at += size
			continue
		}
		w.buf = append(w.buf, s[start:at]...)
		switch c {
		case '"', '\\':
			w.buf = append(w.buf, '\\', c)
		case '\n':
			w.buf = append(w.buf, `\n`...)
		case '\r':
			w.buf = append(w.buf, `\r`...)
		case '\t':
			w.buf = append(w.buf, `\t`...)
		default:
			w.buf = append(w.buf, `\u00`...)
			w.buf = append(w.buf, hex[c>>4], hex[c&15])
		}
		at++
		start = at
	}
	w.buf = append(w.buf, s[start:]...)
	w.buf = append(w.buf, '"')
}

// WriteString writes a string.
func WriteString(v string, w *Writer) { w.str(v) }

// WriteBool writes true or false.
func WriteBool(v bool, w *Writer) { w.buf = strconv.AppendBool(w.buf, v) }

// WriteNull writes null.
func WriteNull(_ Nothing, w *Writer) { w.null() }

// WriteInt64 writes an integer.
func WriteInt64(v int64, w *Writer) { w.buf = strconv.AppendInt(w.buf, v, 10) }

// WriteUint64 writes an integer that is not negative.
func WriteUint64(v uint64, w *Writer) { w.buf = strconv.AppendUint(w.buf, v, 10) }

// WriteKnown writes the value of a closed enum; one that the enum does not have is an error.
func WriteKnown[T any](w *Writer, known bool, v T, write func(T, *Writer)) {
	if !known {
		w.Fail(fmt.Sprintf("%v is none of the values of its enum", v))
		return
	}
	write(v, w)
}

// WriteClippedInt64 writes the exact integer that the object keeps where the field could not hold it.
func WriteClippedInt64(v int64, w *Writer) {
	if (v == math.MaxInt64 || v == math.MinInt64) && w.exact(strconv.FormatInt(v, 10)) {
		return
	}
	WriteInt64(v, w)
}

// WriteClippedUint64 is WriteClippedInt64 for integers that are not negative.
func WriteClippedUint64(v uint64, w *Writer) {
	if (v == math.MaxUint64 || v == 0) && w.exact(strconv.FormatUint(v, 10)) {
		return
	}
	WriteUint64(v, w)
}

// exact writes the kept text of the current field, if there is one that clips to the field's value.
func (w *Writer) exact(clipped string) bool {
	top := &w.frames[len(w.frames)-1]
	kept, ok := top.extra[top.key]
	if !ok {
		return false
	}
	in, err := parseText(string(kept))
	if err != nil || in.kind != KindNumber || !isInteger(in.text) {
		return false
	}
	field, text := parseDecimal(clipped), parseDecimal(in.text)
	beyond := text.compare(field)
	if clipped[0] == '-' || clipped == "0" {
		beyond = -beyond
	}
	if beyond <= 0 {
		return false
	}
	w.buf = append(w.buf, in.text...)
	return true
}

// WriteFloat64 writes a finite number.
func WriteFloat64(f float64, w *Writer) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.Fail("JSON has no NaN and no infinity")
		return
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	w.buf = strconv.AppendFloat(w.buf, f, format, -1, 64)
}

// WriteNumber writes the text of a number; the empty text is 0.
func WriteNumber(v json.Number, w *Writer) {
	text := string(v)
	if text == "" {
		text = "0"
	}
	p := parser{data: text}
	if p.number() != nil || p.at != len(text) {
		w.Fail(fmt.Sprintf("%q is no JSON number", text))
		return
	}
	w.buf = append(w.buf, text...)
}

// WriteInteger writes the text of an integer of any size; the empty text is 0.
func WriteInteger(v json.Number, w *Writer) {
	before := w.err
	if v != "" && !isInteger(string(v)) {
		w.Fail(fmt.Sprintf("%q is no integer", string(v)))
	}
	if w.err == before {
		WriteNumber(v, w)
	}
}

// WriteAny writes JSON text without its white space; no text at all is null.
func WriteAny(v json.RawMessage, w *Writer) {
	if v == nil {
		w.null()
		return
	}
	text := string(v)
	if _, err := parseText(text); err != nil {
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			w.Fail(syntax.Error())
		}
		return
	}
	w.buf = appendCompact(w.buf, text)
}

// WriteText writes a value that is kept as JSON text in a string.
func WriteText(v string, w *Writer) { WriteAny(json.RawMessage(v), w) }

// WriteList writes an array; a nil slice is an empty one.
func WriteList[T any](write func(T, *Writer)) func([]T, *Writer) {
	return func(list []T, w *Writer) {
		w.buf = append(w.buf, '[')
		for i, v := range list {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			write(v, w)
		}
		w.buf = append(w.buf, ']')
	}
}

// WriteMap writes an object in order of its keys; a nil map is an empty one.
func WriteMap[T any](write func(T, *Writer)) func(map[string]T, *Writer) {
	return func(object map[string]T, w *Writer) {
		w.Open(nil)
		CloseTyped(w, object, write)
	}
}

// WriteNullable writes a value or null.
func WriteNullable[T any](write func(T, *Writer)) func(Nullable[T], *Writer) {
	return func(v Nullable[T], w *Writer) {
		if !v.valid {
			w.null()
			return
		}
		write(v.value, w)
	}
}

// WritePtr writes what a pointer points to; nil is an error.
func WritePtr[T any](write func(T, *Writer)) func(*T, *Writer) {
	return func(v *T, w *Writer) {
		if v == nil {
			w.Fail("a pointer is nil")
			return
		}
		write(*v, w)
	}
}

// WriteTuple writes the members of an array one by one.
func (w *Writer) WriteTuple(members ...func(*Writer)) {
	w.buf = append(w.buf, '[')
	for i, write := range members {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		write(w)
	}
	w.buf = append(w.buf, ']')
}

// Item is one member for WriteTuple.
func Item[T any](v T, write func(T, *Writer)) func(*Writer) { return func(w *Writer) { write(v, w) } }
