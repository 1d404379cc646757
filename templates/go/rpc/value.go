package rpc

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how many arrays and objects may be nested in one message. Deeper input is refused before
// it can exhaust a reader that is less careful than this one.
const MaxDepth = 512

// Kind is the JSON kind of a value; integers and other numbers share KindNumber.
type Kind uint8

// The six kinds of JSON.
const (
	KindNull Kind = iota
	KindBoolean
	KindNumber
	KindString
	KindArray
	KindObject
)

// String is the kind's name in JSON Schema.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Value is one JSON value, read strictly and in full. Where an object repeats a name the last member counts.
type Value struct {
	kind    Kind
	truth   bool
	clipped bool   // the reader of this number saturated; the object keeps its text
	text    string // a string's content, a number's text
	raw     string
	*compound
}

// compound is what arrays and objects have besides; most values are neither, so it is kept apart.
type compound struct {
	items   []Value
	members []member
	index   map[string]int
	memo    *memo
}

// memo keeps verdicts on the larger parts of one message, so that unions of recursive types look at each part
// once and not once per level. Members of a batch are checked in parallel, hence the lock.
type memo struct {
	sync.Mutex
	verdicts map[reference]bool
}

// nothing is the compound of all scalars and never changes.
var nothing compound

type member struct {
	name  string
	value Value
}

// indexedFrom is the object size from which a map beats a scan over the members.
const indexedFrom = 12

// Kind is the value's JSON kind.
func (v *Value) Kind() Kind { return v.kind }

// Raw is a copy of the text that the value was read from.
func (v *Value) Raw() []byte { return []byte(v.raw) }

// Member is the member of that name, or nil where there is none or v is no object.
func (v *Value) Member(name string) *Value {
	if at := v.find(name); at >= 0 {
		return &v.members[at].value
	}
	return nil
}

// Text is the content of a string, and "" for any other kind.
func (v *Value) Text() string {
	if v.kind != KindString {
		return ""
	}
	return v.text
}

func (v *Value) find(name string) int {
	if v.index != nil {
		if at, ok := v.index[name]; ok {
			return at
		}
		return -1
	}
	for i := range v.members {
		if v.members[i].name == name {
			return i
		}
	}
	return -1
}

// typeName tells integers from other numbers, as JSON Schema does.
func (v *Value) typeName() string {
	if v.kind == KindNumber && isInteger(v.text) {
		return "integer"
	}
	return v.kind.String()
}

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Offset  int
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Problem)
}

// Parse reads exactly one JSON value. Invalid UTF-8, a byte order mark, lone surrogates, trailing data and
// nesting beyond MaxDepth are errors of type *SyntaxError. The data may be changed afterwards.
func Parse(data []byte) (*Value, error) { return parseText(string(data)) }

func parseText(data string) (*Value, error) {
	p := parser{data: data, memo: new(memo)}
	v := new(Value)
	p.space()
	if err := p.value(v, 0); err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(data) {
		return nil, p.fail("trailing data")
	}
	return v, nil
}

type parser struct {
	data string
	at   int
	memo *memo
}

func (p *parser) fail(problem string) error { return &SyntaxError{Offset: p.at, Problem: problem} }

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

func (p *parser) value(v *Value, depth int) error {
	start := p.at
	v.compound = &nothing
	var err error
	switch c := p.peek(); {
	case c == '{':
		err = p.object(v, depth+1)
	case c == '[':
		err = p.array(v, depth+1)
	case c == '"':
		v.kind = KindString
		v.text, err = p.str()
	case c == '-' || '0' <= c && c <= '9':
		v.kind = KindNumber
		err = p.number()
		v.text = p.data[start:p.at]
	case c == 't':
		v.kind, v.truth = KindBoolean, true
		err = p.word("true")
	case c == 'f':
		v.kind = KindBoolean
		err = p.word("false")
	case c == 'n':
		v.kind = KindNull
		err = p.word("null")
	case p.at >= len(p.data):
		err = p.fail("unexpected end")
	default:
		err = p.fail("unexpected character")
	}
	v.raw = p.data[start:p.at]
	return err
}

func (p *parser) word(word string) error {
	if !strings.HasPrefix(p.data[p.at:], word) {
		return p.fail("unexpected character")
	}
	p.at += len(word)
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at > start
}

func (p *parser) number() error {
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !p.digits() {
		return p.fail("expected a digit")
	}
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			return p.fail("expected a digit")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return p.fail("expected a digit")
		}
	}
	return nil
}

func (p *parser) array(v *Value, depth int) error {
	v.kind = KindArray
	v.compound = &compound{memo: p.memo}
	if depth > MaxDepth {
		return p.fail("nested too deep")
	}
	p.at++
	p.space()
	if p.peek() == ']' {
		p.at++
		return nil
	}
	for {
		v.items = append(v.items, Value{})
		p.space()
		if err := p.value(&v.items[len(v.items)-1], depth); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return nil
		default:
			return p.fail("expected , or ]")
		}
	}
}

func (p *parser) object(v *Value, depth int) error {
	v.kind = KindObject
	v.compound = &compound{memo: p.memo}
	if depth > MaxDepth {
		return p.fail("nested too deep")
	}
	p.at++
	p.space()
	if p.peek() == '}' {
		p.at++
		return nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return p.fail("expected a member name")
		}
		name, err := p.str()
		if err != nil {
			return err
		}
		p.space()
		if p.peek() != ':' {
			return p.fail("expected :")
		}
		p.at++
		p.space()
		if err := p.value(v.slot(name), depth); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return nil
		default:
			return p.fail("expected , or }")
		}
	}
}

// slot is where the member of that name goes: a fresh place, or the one it repeats.
func (v *Value) slot(name string) *Value {
	if at := v.find(name); at >= 0 {
		v.members[at].value = Value{}
		return &v.members[at].value
	}
	v.members = append(v.members, member{name: name})
	last := len(v.members) - 1
	if v.index != nil {
		v.index[name] = last
	} else if len(v.members) >= indexedFrom {
		v.index = make(map[string]int, 2*indexedFrom)
		for i := range v.members {
			v.index[v.members[i].name] = i
		}
	}
	return &v.members[last].value
}

func (p *parser) str() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return p.data[start : p.at-1], nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.fail("control character in a string")
		case c < utf8.RuneSelf:
			p.at++
		default:
			r, size := utf8.DecodeRuneInString(p.data[p.at:])
			if r == utf8.RuneError && size <= 1 {
				return "", p.fail("invalid UTF-8")
			}
			p.at += size
		}
	}
	return "", p.fail("unterminated string")
}

// escaped finishes a string that has an escape sequence at p.at; start is its first byte.
func (p *parser) escaped(start int) (string, error) {
	out := append(make([]byte, 0, p.at-start+32), p.data[start:p.at]...)
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			return string(out), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		case c < 0x20:
			return "", p.fail("control character in a string")
		case c < utf8.RuneSelf:
			out = append(out, c)
			p.at++
		default:
			r, size := utf8.DecodeRuneInString(p.data[p.at:])
			if r == utf8.RuneError && size <= 1 {
				return "", p.fail("invalid UTF-8")
			}
			out = append(out, p.data[p.at:p.at+size]...)
			p.at += size
		}
	}
	return "", p.fail("unterminated string")
}

func (p *parser) escape() (rune, error) {
	if p.at+1 >= len(p.data) {
		return 0, p.fail("unterminated string")
	}
	c := p.data[p.at+1]
	if c != 'u' {
		p.at += 2
		switch c {
		case '"', '\\', '/':
			return rune(c), nil
		case 'b':
			return '\b', nil
		case 'f':
			return '\f', nil
		case 'n':
			return '\n', nil
		case 'r':
			return '\r', nil
		case 't':
			return '\t', nil
		}
		p.at -= 2
		return 0, p.fail("unknown escape")
	}
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.peek() == '\\' && p.at+1 < len(p.data) && p.data[p.at+1] == 'u' {
		low, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, p.fail("lone surrogate")
}

// hex4 reads \uXXXX.
func (p *parser) hex4() (rune, error) {
	if p.at+6 > len(p.data) {
		return 0, p.fail("unterminated string")
	}
	var r rune
	for i := p.at + 2; i < p.at+6; i++ {
		c := p.data[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, p.fail("expected four hexadecimal digits")
		}
		r = r<<4 | rune(c)
	}
	p.at += 6
	return r, nil
}
