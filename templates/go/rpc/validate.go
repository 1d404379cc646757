package rpc

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Violation is one place where a value breaks its schema, as a JSON path such as `$.items[2].name`.
type Violation struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// ValidationError lists every place where a value of the type breaks its schema, up to maxViolations of them.
type ValidationError struct {
	Type   string
	Errors []Violation
}

func (e *ValidationError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "not a valid %s", e.Type)
	for i, violation := range e.Errors {
		if i == 3 {
			fmt.Fprintf(&out, "; and %d more", len(e.Errors)-i)
			break
		}
		fmt.Fprintf(&out, "; %s: %s", violation.Path, violation.Message)
	}
	return out.String()
}

// maxViolations bounds the answer to a message that is wrong in every member.
const maxViolations = 100

// Validate lists where the value breaks the type; nothing when it is valid.
func (t *Type) Validate(v *Value) []Violation {
	run := &validation{}
	t.node.check(v, run, nil, nil)
	return run.violations
}

// ValidateTypes is Validate without constraints: what bounds numbers, lengths and sizes, patterns, unique items,
// contains and the names of members.
func (t *Type) ValidateTypes(v *Value) []Violation {
	run := &validation{loose: true}
	t.node.check(v, run, nil, nil)
	return run.violations
}

func (t *Type) violations(v *Value, loose bool) []Violation {
	if loose {
		return t.ValidateTypes(v)
	}
	return t.Validate(v)
}

// Valid reports whether the value fits the type, and stops at the first place where it does not.
func (t *Type) Valid(v *Value) bool {
	return t.node.verdict(v, new(validation), nil)
}

// validation is one run; silent ones only want the verdict.
type validation struct {
	violations []Violation
	silent     bool
	loose      bool        // constraints do not count
	cut        bool        // a reference came back to itself: the verdict holds only here
	refs       []reference // that are being followed, the last one innermost
}

type reference struct {
	node  *node
	value *Value
	loose bool // of a verdict that is kept
}

// follows reports whether the same reference is being followed for the same value already.
func (run *validation) follows(n *node, v *Value) bool {
	for i := len(run.refs) - 1; i >= 0 && run.refs[i].value == v; i-- {
		if run.refs[i].node == n {
			return true
		}
	}
	return false
}

// quiet is a run for the verdict on v alone, in the middle of this one.
func (run *validation) quiet(v *Value) *validation {
	first := len(run.refs)
	for first > 0 && run.refs[first-1].value == v {
		first--
	}
	return &validation{silent: true, loose: run.loose, refs: slices.Clone(run.refs[first:])}
}

// strict is a quiet run in which constraints count: what a schema excludes or asks first is not for bounds to widen.
func (run *validation) strict(v *Value) *validation {
	quiet := run.quiet(v)
	quiet.loose = false
	return quiet
}

// worthKeeping is the size of a value's text from which looking a verdict up beats finding it again.
const worthKeeping = 256

// verdict reports whether v fits, in silence and from memory where that helps.
func (n *node) verdict(v *Value, run *validation, track *seen) bool {
	quiet := run.quiet(v)
	if track != nil || len(v.raw) < worthKeeping || v.memo == nil {
		return n.check(v, quiet, nil, track)
	}
	key := reference{n, v, run.loose}
	if n.ref != nil {
		key.node = n.ref
	}
	v.memo.Lock()
	known, ok := v.memo.verdicts[key]
	v.memo.Unlock()
	if ok {
		return known
	}
	known = n.check(v, quiet, nil, nil)
	if !quiet.cut {
		v.memo.Lock()
		if v.memo.verdicts == nil {
			v.memo.verdicts = make(map[reference]bool)
		}
		v.memo.verdicts[key] = known
		v.memo.Unlock()
	}
	return known
}

// place is a path as a list from the leaf to the root.
type place struct {
	parent *place
	name   string
	index  int // -1 for members
}

func (p *place) String() string {
	if p == nil {
		return "$"
	}
	if p.index >= 0 {
		return p.parent.String() + indexPath(p.index)
	}
	return p.parent.String() + memberPath(p.name)
}

func indexPath(i int) string { return "[" + strconv.Itoa(i) + "]" }

func memberPath(name string) string {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return "[" + strconv.Quote(name) + "]"
		}
	}
	if name == "" {
		return `[""]`
	}
	return "." + name
}

// seen is what the applicators of one schema object have looked at, for the unevaluated keywords.
type seen struct {
	members map[string]bool
	items   map[int]bool
}

func (s *seen) member(name string) {
	if s != nil {
		if s.members == nil {
			s.members = make(map[string]bool)
		}
		s.members[name] = true
	}
}

func (s *seen) item(i int) {
	if s != nil {
		if s.items == nil {
			s.items = make(map[int]bool)
		}
		s.items[i] = true
	}
}

func (s *seen) add(other *seen) {
	if s == nil || other == nil {
		return
	}
	for name := range other.members {
		s.member(name)
	}
	for i := range other.items {
		s.item(i)
	}
}

// fresh is an empty record where the outer one is kept at all.
func (s *seen) fresh() *seen {
	if s == nil {
		return nil
	}
	return new(seen)
}

func (run *validation) fail(at *place, format string, arguments ...any) bool {
	if !run.silent && len(run.violations) < maxViolations {
		run.violations = append(run.violations, Violation{Path: at.String(), Message: fmt.Sprintf(format, arguments...)})
	}
	return false
}

// check reports whether v fits. A silent run may stop at the first failure, others list them all.
// What a fitting schema has looked at is added to outer.
func (n *node) check(v *Value, run *validation, at *place, outer *seen) bool {
	if n.ref != nil {
		return n.checkRef(v, run, at, outer)
	}
	if n.never {
		return run.fail(at, "no value is allowed here")
	}
	track := outer.fresh()
	if n.tracks {
		track = new(seen)
	}
	ok := n.checkKind(v, run, at)
	if !ok && (run.silent || n.types != 0 && !n.types.has(v)) {
		return false
	}
	switch v.kind {
	case KindNumber:
		ok = (run.loose || n.checkNumber(v, run, at)) && ok
	case KindString:
		ok = (run.loose || n.checkString(v, run, at)) && ok
	case KindArray:
		ok = n.checkArray(v, run, at, track) && ok
	case KindObject:
		ok = n.checkObject(v, run, at, track) && ok
	}
	if !ok && run.silent {
		return false
	}
	ok = n.checkCombined(v, run, at, track) && ok
	if !ok && run.silent {
		return false
	}
	if n.tracks {
		ok = n.checkUnevaluated(v, run, at, track) && ok
	}
	if ok {
		outer.add(track)
	}
	return ok
}

func (n *node) checkRef(v *Value, run *validation, at *place, outer *seen) bool {
	if run.follows(n, v) {
		// A schema that comes back to itself without looking deeper into the value asks nothing more.
		run.cut = true
		return true
	}
	run.refs = append(run.refs, reference{node: n, value: v})
	ok := n.ref.check(v, run, at, outer)
	run.refs = run.refs[:len(run.refs)-1]
	return ok
}

func (n *node) checkKind(v *Value, run *validation, at *place) bool {
	if n.types != 0 && !n.types.has(v) {
		return run.fail(at, "expected %s, got %s", n.types, v.typeName())
	}
	ok := true
	if n.constant != nil && v.key() != *n.constant {
		ok = run.fail(at, "expected the constant of the schema")
	}
	if n.enum != nil && !n.enum[v.key()] {
		ok = run.fail(at, "the value is none of the %d that are allowed", len(n.enum))
	}
	return ok
}

func (n *node) checkNumber(v *Value, run *validation, at *place) bool {
	if n.texts == nil {
		return true
	}
	d, ok := parseDecimal(v.text), true
	if n.minimum != nil && d.compare(*n.minimum) < 0 {
		ok = run.fail(at, "less than the minimum of %s", n.texts["minimum"])
	}
	if n.maximum != nil && d.compare(*n.maximum) > 0 {
		ok = run.fail(at, "greater than the maximum of %s", n.texts["maximum"])
	}
	if n.exclusiveMin != nil && d.compare(*n.exclusiveMin) <= 0 {
		ok = run.fail(at, "not greater than %s", n.texts["exclusiveMinimum"])
	}
	if n.exclusiveMax != nil && d.compare(*n.exclusiveMax) >= 0 {
		ok = run.fail(at, "not less than %s", n.texts["exclusiveMaximum"])
	}
	if n.multiple != nil && !d.multipleOf(*n.multiple) {
		ok = run.fail(at, "not a multiple of %s", n.texts["multipleOf"])
	}
	return ok
}

func (n *node) checkString(v *Value, run *validation, at *place) bool {
	ok := true
	if n.minLength != nil || n.maxLength != nil {
		length := utf8.RuneCountInString(v.text)
		ok = withinLimits(run, at, length, n.minLength, n.maxLength, "characters")
	}
	if n.pattern != nil && !n.pattern.matches(v.text) {
		ok = run.fail(at, "does not match the pattern %q", n.pattern.source)
	}
	return ok
}

func withinLimits(run *validation, at *place, size int, least, most *int, what string) bool {
	if least != nil && size < *least {
		return run.fail(at, "%d %s where at least %d are needed", size, what, *least)
	}
	if most != nil && size > *most {
		return run.fail(at, "%d %s where at most %d are allowed", size, what, *most)
	}
	return true
}

func (n *node) checkArray(v *Value, run *validation, at *place, track *seen) bool {
	// The size of a tuple is part of its type.
	ok := run.loose && n.tuple == nil || withinLimits(run, at, len(v.items), n.minItems, n.maxItems, "items")
	if n.unique && !run.loose {
		ok = checkUnique(v, run, at) && ok
	}
	if n.items != nil || n.tuple != nil {
		for i := range v.items {
			rule := n.items
			if i < len(n.tuple) {
				rule = n.tuple[i]
			} else if n.tuple != nil {
				rule = n.additionalItems
			}
			if rule == nil {
				break
			}
			ok = rule.check(&v.items[i], run, &place{at, "", i}, nil) && ok
			track.item(i)
			if !ok && run.silent {
				return false
			}
		}
	}
	if n.contains != nil && (!run.loose || track != nil) {
		ok = n.checkContains(v, run, at, track) && ok
	}
	return ok
}

func checkUnique(v *Value, run *validation, at *place) bool {
	if len(v.items) < 2 {
		return true
	}
	first := make(map[string]int, len(v.items))
	for i := range v.items {
		key := v.items[i].key()
		if earlier, ok := first[key]; ok {
			return run.fail(at, "items %d and %d are equal", earlier, i)
		}
		first[key] = i
	}
	return true
}

func (n *node) checkContains(v *Value, run *validation, at *place, track *seen) bool {
	quiet := &validation{silent: true}
	found := 0
	for i := range v.items {
		if n.contains.check(&v.items[i], quiet, nil, nil) {
			found++
			track.item(i)
		}
	}
	if run.loose {
		return true
	}
	least := 1
	if n.minContains != nil {
		least = *n.minContains
	}
	if found < least {
		return run.fail(at, "%d items match the schema of contains where at least %d are needed", found, least)
	}
	if n.maxContains != nil && found > *n.maxContains {
		return run.fail(at, "%d items match the schema of contains where at most %d are allowed", found, *n.maxContains)
	}
	return true
}

func (n *node) checkObject(v *Value, run *validation, at *place, track *seen) bool {
	ok := run.loose || withinLimits(run, at, len(v.members), n.minProperties, n.maxProperties, "members")
	for _, name := range n.required {
		if v.find(name) < 0 {
			ok = run.fail(at, "the required member %q is missing", name)
		}
	}
	if !ok && run.silent {
		return false
	}
	if n.properties != nil || n.patternProperties != nil || n.additional != nil || n.propertyNames != nil {
		for i := range v.members {
			ok = n.checkMember(&v.members[i], run, at, track) && ok
			if !ok && run.silent {
				return false
			}
		}
	}
	if n.dependentRequired != nil || n.dependentSchemas != nil {
		ok = n.checkDependent(v, run, at, track) && ok
	}
	return ok
}

func (n *node) checkMember(m *member, run *validation, at *place, track *seen) bool {
	here := &place{at, m.name, -1}
	ok, known := true, false
	if rule, listed := n.properties[m.name]; listed {
		known = true
		ok = rule.check(&m.value, run, here, nil)
	}
	for i := range n.patternProperties {
		if n.patternProperties[i].pattern.matches(m.name) {
			known = true
			ok = n.patternProperties[i].node.check(&m.value, run, here, nil) && ok
		}
	}
	if !known && n.additional != nil {
		known = true
		if n.additional.never {
			ok = run.fail(here, "this member is not allowed")
		} else {
			ok = n.additional.check(&m.value, run, here, nil) && ok
		}
	}
	if known {
		track.member(m.name)
	}
	if n.propertyNames != nil && !run.loose {
		name := Value{kind: KindString, text: m.name, compound: &nothing}
		ok = n.propertyNames.check(&name, run, here, nil) && ok
	}
	return ok
}

func (n *node) checkDependent(v *Value, run *validation, at *place, track *seen) bool {
	ok := true
	for _, name := range slices.Sorted(maps.Keys(n.dependentRequired)) {
		if v.find(name) < 0 {
			continue
		}
		for _, other := range n.dependentRequired[name] {
			if v.find(other) < 0 {
				ok = run.fail(at, "the member %q is missing, which %q requires", other, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.dependentSchemas)) {
		if v.find(name) >= 0 {
			ok = n.dependentSchemas[name].check(v, run, at, track) && ok
		}
	}
	return ok
}

func (n *node) checkCombined(v *Value, run *validation, at *place, track *seen) bool {
	ok := true
	for _, rule := range n.allOf {
		ok = rule.check(v, run, at, track) && ok
		if !ok && run.silent {
			return false
		}
	}
	if n.anyOf != nil {
		ok = n.checkAny(n.anyOf, v, run, at, track) && ok
	}
	if n.oneOf != nil && run.loose {
		// What tells two alternatives apart may be a constraint.
		ok = n.checkAny(n.oneOf, v, run, at, track) && ok
	} else if n.oneOf != nil {
		ok = n.checkOne(v, run, at, track) && ok
	}
	if n.not != nil && n.not.check(v, run.strict(v), nil, nil) {
		ok = run.fail(at, "the value matches what the schema excludes")
	}
	if n.when != nil {
		looked := track.fresh()
		if n.when.check(v, run.strict(v), nil, looked) {
			track.add(looked)
			if n.then != nil {
				ok = n.then.check(v, run, at, track) && ok
			}
		} else if n.otherwise != nil {
			ok = n.otherwise.check(v, run, at, track) && ok
		}
	}
	return ok
}

func (n *node) checkAny(rules []*node, v *Value, run *validation, at *place, track *seen) bool {
	matched := false
	for _, rule := range rules {
		if rule.verdict(v, run, track) {
			matched = true
			if track == nil {
				break
			}
		}
	}
	if matched {
		return true
	}
	return explain(rules, v, run, at)
}

func (n *node) checkOne(v *Value, run *validation, at *place, track *seen) bool {
	matched, first := 0, 0
	looked := track.fresh()
	for i, rule := range n.oneOf {
		branch := track.fresh()
		if rule.verdict(v, run, branch) {
			matched++
			if matched == 2 {
				return run.fail(at, "the value matches the alternatives %d and %d of which it may match only one", first, i)
			}
			first, looked = i, branch
		}
	}
	if matched == 1 {
		track.add(looked)
		return true
	}
	return explain(n.oneOf, v, run, at)
}

// explain lists the errors of the one alternative that the value was meant for, to judge by its kind, its
// members and its tags. Where there is no such alternative, or more than one, it says so in one line: trying
// them all would take exponential time in recursive schemas.
func explain(rules []*node, v *Value, run *validation, at *place) bool {
	if run.silent {
		return false
	}
	var meant *node
	for _, rule := range rules {
		if !rule.resembles(v, 0) {
			continue
		}
		if meant != nil {
			meant = nil
			break
		}
		meant = rule
	}
	if meant == nil || meant.check(v, run, at, nil) {
		return run.fail(at, "the value matches none of the %d alternatives", len(rules))
	}
	return false
}

// resembles reports whether v has the kind, the members and the constants that the schema asks for at its top.
func (n *node) resembles(v *Value, depth int) bool {
	if n.ref != nil {
		return depth < MaxDepth && n.ref.resembles(v, depth+1)
	}
	if n.never || n.types != 0 && !n.types.has(v) {
		return false
	}
	if v.kind != KindObject {
		return true
	}
	for _, name := range n.required {
		if v.find(name) < 0 {
			return false
		}
	}
	for name, rule := range n.properties {
		in := v.Member(name)
		if in != nil && (rule.constant != nil || rule.enum != nil) && !rule.checkKind(in, &validation{silent: true}, nil) {
			return false
		}
	}
	for _, rule := range n.allOf {
		if depth < MaxDepth && !rule.resembles(v, depth+1) {
			return false
		}
	}
	return true
}

func (n *node) checkUnevaluated(v *Value, run *validation, at *place, track *seen) bool {
	ok := true
	if n.unevaluatedProperties != nil && v.kind == KindObject {
		for i := range v.members {
			m := &v.members[i]
			if track.members[m.name] {
				continue
			}
			here := &place{at, m.name, -1}
			if n.unevaluatedProperties.never {
				ok = run.fail(here, "this member is not allowed")
			} else {
				ok = n.unevaluatedProperties.check(&m.value, run, here, nil) && ok
			}
			track.member(m.name)
		}
	}
	if n.unevaluatedItems != nil && v.kind == KindArray {
		for i := range v.items {
			if !track.items[i] {
				ok = n.unevaluatedItems.check(&v.items[i], run, &place{at, "", i}, nil) && ok
				track.item(i)
			}
		}
	}
	return ok
}

// key is equal for values that are equal in JSON, and only for these: 1 and 1.0, members in any order.
func (v *Value) key() string {
	if v.kind == KindString {
		return `"` + v.text
	}
	var out strings.Builder
	v.writeKey(&out)
	return out.String()
}

func (v *Value) writeKey(out *strings.Builder) {
	switch v.kind {
	case KindNull:
		out.WriteString("null")
	case KindBoolean:
		out.WriteString(strconv.FormatBool(v.truth))
	case KindNumber:
		out.WriteString(parseDecimal(v.text).key())
	case KindString:
		// The length keeps a string's content from looking like what follows it.
		fmt.Fprintf(out, `"%d:%s`, len(v.text), v.text)
	case KindArray:
		out.WriteByte('[')
		for i := range v.items {
			v.items[i].writeKey(out)
			out.WriteByte(',')
		}
		out.WriteByte(']')
	case KindObject:
		order := make([]int, len(v.members))
		for i := range order {
			order[i] = i
		}
		sort.Slice(order, func(i, j int) bool { return v.members[order[i]].name < v.members[order[j]].name })
		out.WriteByte('{')
		for _, i := range order {
			m := &v.members[i]
			fmt.Fprintf(out, `"%d:%s`, len(m.name), m.name)
			m.value.writeKey(out)
			out.WriteByte(',')
		}
		out.WriteByte('}')
	}
}

// NoType is the error for a name that is no type of the protocol.
func NoType(name string) error { return fmt.Errorf("the protocol has no type %q", name) }

// DecodeOption changes how a value is decoded.
type DecodeOption interface{ applyDecode(*settings) }

// DecodeNamed reads and checks a value of a definition; read makes the Go value from it. Errors:
// *SyntaxError, *ValidationError.
func DecodeNamed(schema *Schema, name string, data []byte, read func(*Value) (any, error), options ...DecodeOption) (any, error) {
	in, err := checkNamed(schema, name, data, options)
	if err != nil {
		return nil, err
	}
	return read(in)
}

// ValidateNamed checks a value of a definition. Errors: *SyntaxError, *ValidationError.
func ValidateNamed(schema *Schema, name string, data []byte, options ...DecodeOption) error {
	_, err := checkNamed(schema, name, data, options)
	return err
}

func checkNamed(schema *Schema, name string, data []byte, options []DecodeOption) (*Value, error) {
	var s settings
	for _, option := range options {
		option.applyDecode(&s)
	}
	t := schema.Named(name)
	if t == nil {
		return nil, NoType(name)
	}
	in, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if violations := t.violations(in, s.loose); violations != nil {
		return nil, &ValidationError{Type: name, Errors: violations}
	}
	return in, nil
}

// Arm is what tells one alternative of an untagged union from the others.
type Arm struct {
	Kinds    string   // JSON kinds, separated by spaces; empty: any
	Required []string // members an object must have
	Type     string   // the definition that decides in the end; empty: whether it can be read
}

// Choose reads v as the alternative it fits: by kind, then the one with the most required members, and
// where several are left by validation in order. read is called with the alternative's index.
func Choose(v *Value, schema func() *Schema, arms []Arm, read func(arm int) error) error {
	var fitting []int
	for i := range arms {
		if arms[i].fits(v) {
			fitting = append(fitting, i)
		}
	}
	if len(fitting) == 1 {
		return read(fitting[0])
	}
	slices.SortStableFunc(fitting, func(a, b int) int { return len(arms[b].Required) - len(arms[a].Required) })
	for _, i := range fitting {
		if arms[i].Type != "" && !schema().Named(arms[i].Type).Valid(v) {
			continue
		}
		if read(i) == nil {
			return nil
		}
	}
	for _, i := range fitting {
		if read(i) == nil {
			return nil
		}
	}
	return v.Mismatch("one of the union's alternatives")
}

func (a *Arm) fits(v *Value) bool {
	if a.Kinds != "" {
		ok := false
		for kind := range strings.SplitSeq(a.Kinds, " ") {
			ok = ok || kind == v.kind.String() || kind == "integer" && v.typeName() == "integer"
		}
		if !ok {
			return false
		}
	}
	if v.kind == KindObject {
		for _, name := range a.Required {
			if v.find(name) < 0 {
				return false
			}
		}
	}
	return true
}
