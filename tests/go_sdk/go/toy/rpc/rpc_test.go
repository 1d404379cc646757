package rpc

import (
	"strings"
	"testing"
)

func value(t *testing.T, text string) *Value {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestNumbersAreComparedExactly(t *testing.T) {
	ordered := []string{
		"-1e999999999999999999999", "-1e20", "-99999999999999999999", "-1.5", "-1e-5", "0", "1e-999999999999999999999", "0.1", "0.10000000000000000001",
		"1", "9007199254740992", "9007199254740993", "1e16", "123456789012345678901234567890", "1e999999999999999999999",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			got := parseDecimal(a).compare(parseDecimal(b))
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
}

func TestEqualNumbersHaveOneKey(t *testing.T) {
	for _, same := range [][]string{{"1", "1.0", "1e0", "10e-1", "0.1e1", "1.000"}, {"0", "-0", "0.0", "0e99999999999999999999", "-0e-5"}, {"100", "1e2", "1.0E+2"}} {
		for _, text := range same {
			if value(t, text).key() != value(t, same[0]).key() {
				t.Errorf("%s is not %s", text, same[0])
			}
		}
	}
	for _, pair := range [][2]string{{"1", "true"}, {"1", `"1"`}, {"9007199254740993", "9007199254740992"}, {"[]", "{}"}, {`["a","b"]`, `["a,b"]`}, {"null", `"null"`}} {
		if value(t, pair[0]).key() == value(t, pair[1]).key() {
			t.Errorf("%s is %s", pair[0], pair[1])
		}
	}
	if value(t, `{"a":1,"b":[1.0]}`).key() != value(t, `{"b":[1],"a":1.0}`).key() {
		t.Error("the order of members counts")
	}
}

func TestSchemasOfUsersAreCompiled(t *testing.T) {
	list, err := ParseType([]byte(`{"$ref":"#/definitions/list","definitions":{"list":{"items":{"type":"string","pattern":"^a"},"maxItems":2}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, count := range map[string]int{`["a","ab"]`: 0, `{}`: 0, `["b",1]`: 2, `["a","a","a"]`: 1} {
		if got := list.Validate(value(t, text)); len(got) != count {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{
		`{`, `{"$ref":"#/definitions/none"}`, `{"$ref":"other.json"}`, `{"pattern":"("}`, `{"patternProperties":{"(?=a)":true}}`,
		`{"definitions":{"a":{"properties":{"b":{"pattern":"["}}}}}`,
	} {
		if _, err := ParseType([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	// What breaks the draft is refused or means nothing, and never ends the program.
	for _, text := range []string{`5`, `{"properties":5}`, `{"minimum":"e"}`, `{"type":{}}`, `{"items":null}`, `{"enum":1}`, `{"$ref":1}`} {
		if t1, err := ParseType([]byte(text)); err == nil {
			t1.Validate(value(t, `[1]`))
		}
	}
}

func TestMultiples(t *testing.T) {
	for _, x := range []struct {
		number, of string
		want       bool
	}{
		{"0.07", "0.01", true}, {"0.075", "0.01", false}, {"19.99", "0.01", true}, {"1e300", "3", false}, {"3e300", "3", true}, {"0", "7", true},
		{"1e999999999", "2", true}, {"1e999999999", "7", false}, {"1e-999999999", "1", false}, {"-6", "1.5", true}, {"5", "10", false},
		{"123456789012345678901234567890", "10", true}, {"123456789012345678901234567891", "10", false},
		{strings.Repeat("9", 300000), "9", true}, {strings.Repeat("9", 300000) + "8", "9", false},
	} {
		if got := parseDecimal(x.number).multipleOf(parseDecimal(x.of)); got != x.want {
			t.Errorf("%.40s of %s: %v", x.number, x.of, got)
		}
	}
}

func TestTheLastOfEqualNamesCounts(t *testing.T) {
	var text strings.Builder
	text.WriteByte('{')
	for i := range 40 {
		text.WriteString(`"k` + strings.Repeat("x", i%20) + `":` + string(rune('0'+i%10)) + `,`)
	}
	text.WriteString(`"\u006b":[7]}`)
	v := value(t, text.String())
	if len(v.members) != 20 || v.Member("k").items[0].text != "7" || v.Member("kx").text != "1" {
		t.Errorf("%d members, %s", len(v.members), v.Member("k").raw)
	}
}

func TestCompactTakesOnlySpaceOutsideStrings(t *testing.T) {
	got, err := Compact([]byte(" { \"a b\\\" \" : [ 1 , \"\\\\\" ] }\n"))
	if err != nil || string(got) != `{"a b\" ":[1,"\\"]}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Compact([]byte("{} {}")); err == nil {
		t.Error("two values passed as one")
	}
}

const union = `{"definitions":{
"Node":{"oneOf":[{"$ref":"#/definitions/Leaf"},{"$ref":"#/definitions/Branch"},{"type":"array","items":{"$ref":"#/definitions/Node"}}]},
"Leaf":{"type":"object","required":["kind"],"properties":{"kind":{"const":"leaf"},"size":{"type":"integer"}}},
"Branch":{"type":"object","required":["kind","left"],"properties":{"kind":{"const":"branch"},"left":{"$ref":"#/definitions/Node"},"right":{"$ref":"#/definitions/Node"}}},
"Loop":{"allOf":[{"$ref":"#/definitions/Loop"},{"type":"string"}]},
"Wide":{"type":"array","items":{"type":"string"}}
}}`

func TestErrorsOfAUnionAreThoseOfTheOneThatWasMeant(t *testing.T) {
	schema := MustSchema(union)
	for text, want := range map[string]string{
		`{"kind":"leaf","size":"x"}`: `$.size: expected integer, got string`,
		`{"kind":"branch","left":{"kind":"branch","left":[{"kind":"leaf","size":0.5}]}}`: `$.left.left[0].size: expected integer, got number`,
		`{"kind":"fruit"}`: `$: the value matches none of the 3 alternatives`,
		`5`:                `$: the value matches none of the 3 alternatives`,
	} {
		violations := schema.Named("Node").Validate(value(t, text))
		if len(violations) != 1 || violations[0].Path+": "+violations[0].Message != want {
			t.Errorf("%s: got %v", text, violations)
		}
	}
}

func TestRecursiveUnionsLookAtEachPartOnce(t *testing.T) {
	schema := MustSchema(union)
	const depth = 500
	big := `,"note":"` + strings.Repeat("x", 200) + `"}`
	text := strings.Repeat(`{"kind":"branch","right":{"kind":"leaf"},"left":`, depth) + `{"kind":"leaf","size":"x"` + big + strings.Repeat(big, depth)
	in := value(t, text)
	violations := schema.Named("Node").Validate(in)
	if want := "$" + strings.Repeat(".left", depth) + ".size"; len(violations) != 1 || violations[0].Path != want {
		t.Errorf("got %v", violations)
	}
	// Three alternatives at each level, none of them twice.
	if kept := len(in.memo.verdicts); kept > 3*(depth+1) {
		t.Errorf("%d verdicts", kept)
	}
}

func TestASchemaThatComesBackToItselfEnds(t *testing.T) {
	schema := MustSchema(union)
	if !schema.Named("Loop").Valid(value(t, `"s"`)) || schema.Named("Loop").Valid(value(t, `1`)) {
		t.Error("the loop hides the rest of the schema")
	}
}

func TestTheListOfErrorsIsBounded(t *testing.T) {
	schema := MustSchema(union)
	violations := schema.Named("Wide").Validate(value(t, "["+strings.Repeat("1,", 5000)+"1]"))
	if len(violations) != maxViolations || violations[99].Path != "$[99]" {
		t.Errorf("%d errors", len(violations))
	}
}

func TestEventsThatWouldNotComeBackTravelWhole(t *testing.T) {
	for text, want := range map[string]string{
		`{"event":"tick","data":{"a":1}}`:    "event: tick\ndata: {\"a\":1}\n\n",
		`{"event":"message","data":1}`:       "data: {\"event\":\"message\",\"data\":1}\n\n",
		`{"event":"a\nb","data":1}`:          "data: {\"event\":\"a\\nb\",\"data\":1}\n\n",
		`{"event":"tick","data":1,"more":2}`: "data: {\"event\":\"tick\",\"data\":1,\"more\":2}\n\n",
		`{"event":1,"data":1}`:               "data: {\"event\":1,\"data\":1}\n\n",
		`3`:                                  "data: 3\n\n",
	} {
		if got := string(encodeStreamed([]byte(text))); got != want {
			t.Errorf("%s: got %q", text, got)
		}
		event, err := newEventReader(strings.NewReader(want), 1000).next()
		if err != nil {
			t.Fatal(err)
		}
		back, err := streamedValue(event.name, value(t, string(event.data)))
		if err != nil || back.key() != value(t, text).key() {
			t.Errorf("%s came back as %s", text, back.raw)
		}
	}
}
