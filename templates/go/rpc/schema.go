package rpc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Schema is a set of definitions in JSON Schema draft-07 that refer to each other, extended by
// unevaluatedProperties, unevaluatedItems, minContains, maxContains, dependentRequired and
// dependentSchemas. Formats are not checked. Patterns are in the syntax of package regexp.
type Schema struct {
	definitions map[string]*node
}

// node is one compiled schema; nil slices and pointers mean an absent keyword.
type node struct {
	never bool // the schema `false`
	ref   *node

	types    kindSet
	constant *string // the key of the value
	enum     map[string]bool

	minimum, maximum           *decimal
	exclusiveMin, exclusiveMax *decimal
	multiple                   *decimal
	texts                      map[string]string // the numbers above as written, by keyword

	minLength, maxLength         *int
	pattern                      *pattern
	minItems, maxItems           *int
	minProperties, maxProperties *int
	unique                       bool

	required          []string
	properties        map[string]*node
	patternProperties []patternNode
	additional        *node
	propertyNames     *node
	dependentRequired map[string][]string
	dependentSchemas  map[string]*node

	items                    *node
	tuple                    []*node
	additionalItems          *node
	contains                 *node
	minContains, maxContains *int

	allOf, anyOf, oneOf        []*node
	not, when, then, otherwise *node
	unevaluatedProperties      *node
	unevaluatedItems           *node
	tracks                     bool // an unevaluated keyword here: what the applicators looked at matters
}

type patternNode struct {
	pattern *pattern
	node    *node
}

// kindSet is a bit per kind, and one for integers.
type kindSet uint8

const integerBit kindSet = 1 << 7

func (s kindSet) has(v *Value) bool {
	return s&(1<<v.kind) != 0 || s&integerBit != 0 && v.kind == KindNumber && isInteger(v.text)
}

func (s kindSet) String() string {
	var names []string
	for kind := KindNull; kind <= KindObject; kind++ {
		if s&(1<<kind) != 0 {
			names = append(names, kind.String())
		}
	}
	if s&integerBit != 0 {
		names = append(names, "integer")
	}
	return strings.Join(names, " or ")
}

// pattern compiles on first use: large protocols have many and a program uses few.
type pattern struct {
	source  string
	compile func() *regexp.Regexp
}

func newPattern(source string) *pattern {
	return &pattern{source: source, compile: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(source) })}
}

func (p *pattern) matches(text string) bool { return p.compile().MatchString(text) }

// MustSchema compiles the text of `{"definitions": {...}}`. It panics on anything else: the text comes from
// the generator, which has checked it.
func MustSchema(text string) *Schema {
	root, err := parseText(text)
	if err != nil {
		panic(err)
	}
	c := &compiler{named: make(map[string]*node)}
	c.define(root.Member("definitions"))
	return &Schema{definitions: c.named}
}

// MustType compiles the schema of a type that has no name of its own; it may refer to the definitions.
func (s *Schema) MustType(text string) *Type {
	source, err := parseText(text)
	if err != nil {
		panic(err)
	}
	c := &compiler{named: s.definitions}
	return &Type{node: c.compile(source)}
}

// ParseType compiles a schema that came at run time, such as one that a user has sent; its references lead to its
// own definitions. Values are checked by Validate. Errors: *SyntaxError, or what of the schema is of no use.
func ParseType(text []byte) (t *Type, err error) {
	source, err := Parse(text)
	if err != nil {
		return nil, err
	}
	// The compiler relies on keywords having the values that the draft gives them, and this text nobody has checked.
	defer func() {
		if reason := recover(); reason != nil {
			t, err = nil, fmt.Errorf("not a usable schema: %v", reason)
		}
	}()
	c := &compiler{named: make(map[string]*node), eager: true}
	if definitions := source.Member("definitions"); definitions != nil {
		c.define(definitions)
	}
	return &Type{node: c.compile(source)}, nil
}

// Type is one schema that values can be checked against.
type Type struct {
	node *node
}

// Named is the type of that definition, or nil.
func (s *Schema) Named(name string) *Type {
	if n, ok := s.definitions[name]; ok {
		return &Type{node: n}
	}
	return nil
}

type compiler struct {
	named map[string]*node
	eager bool // patterns are compiled, too
}

func (c *compiler) define(definitions *Value) {
	for i := range definitions.members {
		c.named[definitions.members[i].name] = new(node)
	}
	for i := range definitions.members {
		m := &definitions.members[i]
		c.into(c.named[m.name], &m.value)
	}
}

func (c *compiler) pattern(source string) *pattern {
	p := newPattern(source)
	if c.eager {
		p.compile()
	}
	return p
}

func (c *compiler) compile(source *Value) *node {
	n := new(node)
	c.into(n, source)
	return n
}

func (c *compiler) into(n *node, source *Value) {
	if source.kind == KindBoolean {
		n.never = !source.truth
		return
	}
	if ref := source.Member("$ref"); ref != nil {
		n.ref = c.resolve(ref.text)
		return
	}
	for i := range source.members {
		c.keyword(n, source.members[i].name, &source.members[i].value)
	}
	n.tracks = n.unevaluatedItems != nil || n.unevaluatedProperties != nil
}

func (c *compiler) resolve(ref string) *node {
	name, ok := strings.CutPrefix(ref, "#/definitions/")
	name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	n := c.named[name]
	if !ok || n == nil {
		panic(fmt.Sprintf("it refers to %q, which it does not have", ref))
	}
	return n
}

func (c *compiler) keyword(n *node, keyword string, v *Value) {
	switch keyword {
	case "type":
		n.types = typesOf(v)
	case "const":
		n.constant = Ptr(v.key())
	case "enum":
		n.enum = make(map[string]bool, len(v.items))
		for i := range v.items {
			n.enum[v.items[i].key()] = true
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		n.number(keyword, v)
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		*n.limit(keyword) = sizeOf(v)
	case "pattern":
		n.pattern = c.pattern(v.text)
	case "uniqueItems":
		n.unique = v.truth
	case "required":
		n.required = textsOf(v)
	case "properties":
		n.properties = c.table(v)
	case "patternProperties":
		for i := range v.members {
			m := &v.members[i]
			n.patternProperties = append(n.patternProperties, patternNode{c.pattern(m.name), c.compile(&m.value)})
		}
	case "dependentRequired", "dependentSchemas", "dependencies":
		c.dependencies(n, v)
	case "items":
		if v.kind == KindArray {
			n.tuple = c.list(v)
		} else {
			n.items = c.compile(v)
		}
	case "allOf":
		n.allOf = c.list(v)
	case "anyOf":
		n.anyOf = c.list(v)
	case "oneOf":
		n.oneOf = c.list(v)
	default:
		if place := n.single(keyword); place != nil {
			*place = c.compile(v)
		}
	}
}

// single is where the schema of a keyword goes that takes exactly one.
func (n *node) single(keyword string) **node {
	switch keyword {
	case "additionalProperties":
		return &n.additional
	case "propertyNames":
		return &n.propertyNames
	case "additionalItems":
		return &n.additionalItems
	case "contains":
		return &n.contains
	case "not":
		return &n.not
	case "if":
		return &n.when
	case "then":
		return &n.then
	case "else":
		return &n.otherwise
	case "unevaluatedProperties":
		return &n.unevaluatedProperties
	case "unevaluatedItems":
		return &n.unevaluatedItems
	}
	return nil
}

func (n *node) number(keyword string, v *Value) {
	d := parseDecimal(v.text)
	switch keyword {
	case "minimum":
		n.minimum = &d
	case "maximum":
		n.maximum = &d
	case "exclusiveMinimum":
		n.exclusiveMin = &d
	case "exclusiveMaximum":
		n.exclusiveMax = &d
	case "multipleOf":
		n.multiple = &d
	}
	if n.texts == nil {
		n.texts = make(map[string]string)
	}
	n.texts[keyword] = v.text
}

func (n *node) limit(keyword string) **int {
	switch keyword {
	case "minLength":
		return &n.minLength
	case "maxLength":
		return &n.maxLength
	case "minItems":
		return &n.minItems
	case "maxItems":
		return &n.maxItems
	case "minProperties":
		return &n.minProperties
	case "maxProperties":
		return &n.maxProperties
	case "minContains":
		return &n.minContains
	}
	return &n.maxContains
}

// sizeOf reads a limit; one beyond any possible size counts as the largest int.
func sizeOf(v *Value) *int {
	text, _ := integerText(v.text, digits64)
	size, err := strconv.Atoi(text)
	if err != nil {
		size = int(^uint(0) >> 1)
	}
	return &size
}

func (c *compiler) list(v *Value) []*node {
	list := make([]*node, len(v.items))
	for i := range v.items {
		list[i] = c.compile(&v.items[i])
	}
	return list
}

func (c *compiler) table(v *Value) map[string]*node {
	table := make(map[string]*node, len(v.members))
	for i := range v.members {
		table[v.members[i].name] = c.compile(&v.members[i].value)
	}
	return table
}

func (c *compiler) dependencies(n *node, v *Value) {
	for i := range v.members {
		m := &v.members[i]
		if m.value.kind == KindArray {
			if n.dependentRequired == nil {
				n.dependentRequired = make(map[string][]string)
			}
			n.dependentRequired[m.name] = append(n.dependentRequired[m.name], textsOf(&m.value)...)
			continue
		}
		if n.dependentSchemas == nil {
			n.dependentSchemas = make(map[string]*node)
		}
		next := c.compile(&m.value)
		if other := n.dependentSchemas[m.name]; other != nil {
			next = &node{allOf: []*node{other, next}}
		}
		n.dependentSchemas[m.name] = next
	}
}

func typesOf(v *Value) kindSet {
	names := []string{v.text}
	if v.kind == KindArray {
		names = textsOf(v)
	}
	var set kindSet
	for _, name := range names {
		if name == "integer" {
			set |= integerBit
			continue
		}
		for kind := KindNull; kind <= KindObject; kind++ {
			if kind.String() == name {
				set |= 1 << kind
			}
		}
	}
	return set
}

func textsOf(v *Value) []string {
	texts := make([]string, len(v.items))
	for i := range v.items {
		texts[i] = v.items[i].text
	}
	return texts
}
