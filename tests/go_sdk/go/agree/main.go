// Command agree decodes and encodes one sample a line: {"protocol","type","text"} in, {"ok","text","error"} out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"

	"protogen.test/sdk/echo"
	"protogen.test/sdk/hand"
	"protogen.test/sdk/toy"
)

type sample struct{ Protocol, Type, Text string }

type verdict struct {
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
	Error string `json:"error"`
}

type codec struct {
	decode func(string, []byte) (any, error)
	encode func(any) ([]byte, error)
}

var codecs = map[string]codec{
	"echo": {func(name string, text []byte) (any, error) { return echo.Decode(name, text) }, echo.Encode},
	"hand": {func(name string, text []byte) (any, error) { return hand.Decode(name, text) }, hand.Encode},
	"toy":  {func(name string, text []byte) (any, error) { return toy.Decode(name, text) }, toy.Encode},
}

func check(s sample) verdict {
	c := codecs[s.Protocol]
	v, err := c.decode(s.Type, []byte(s.Text))
	if err != nil {
		return verdict{Error: err.Error()}
	}
	text, err := c.encode(v)
	if err != nil {
		return verdict{OK: true, Error: err.Error()}
	}
	// What the standard library writes must be the same value.
	plain, err := json.Marshal(v)
	if err != nil {
		return verdict{OK: true, Error: err.Error()}
	}
	if !reflect.DeepEqual(generic(plain), generic(text)) {
		return verdict{OK: true, Error: "json.Marshal wrote another value: " + string(plain)}
	}
	return verdict{OK: true, Text: string(text)}
}

func generic(text []byte) (v any) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var s sample
		if err := json.Unmarshal(line, &s); err != nil {
			panic(err)
		}
		if err := encoder.Encode(check(s)); err != nil {
			panic(err)
		}
	}
}
