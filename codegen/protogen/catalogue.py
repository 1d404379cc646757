"""Every finding by its code: what it means and the way out. `protogen explain` and docs/PROBLEMS.md print it."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One kind of finding: a title of a few words, and a text of a few sentences."""

    title: str
    text: str


CATALOGUE: dict[str, Entry] = {
    "PG001": Entry(
        "input cannot be read",
        """\
The file is missing, is a folder, or its permissions keep protogen from opening it.
Check the path in protogen.toml or on the command line; it is relative to the folder of protogen.toml.""",
    ),
    "PG002": Entry(
        "input is not UTF-8",
        """\
JSON is UTF-8 text. The message names the first byte that is not. Save the file as UTF-8.""",
    ),
    "PG003": Entry(
        "input is not JSON",
        """\
The parser stopped at the place given. Trailing commas, comments and NaN are not JSON.""",
    ),
    "PG004": Entry(
        "key repeated in one object",
        """\
JSON parsers keep the last of two equal keys, so that the first one says nothing. Remove one of them.""",
    ),
    "PG005": Entry(
        "nested too deep",
        """\
A document nested deeper than 200 levels is refused. Move inner schemas into definitions and refer to them.""",
    ),
    "PG006": Entry(
        "number too large",
        """\
Numbers are read as doubles where they are no integers, and none is larger than 1.8e308. JSON allows the text, but
hardly a reader keeps it, so that a bound or a constant would mean something else to everybody.""",
    ),
    "PG007": Entry(
        "half a surrogate pair",
        """\
JSON allows the escape of a lone surrogate (\\ud800), which is no character and cannot be written as UTF-8. Write the
character itself, or the escapes of both halves.""",
    ),
    "PG101": Entry(
        "not a protocol document",
        """\
The document declares x-protocol and breaks schemas/protogen.schema.json, the meta-schema of
protocol documents. The message names the member. Editors complete from the meta-schema: docs/how-to/editors.md.""",
    ),
    "PG102": Entry(
        "reference leads nowhere",
        """\
A "$ref" names a definition, an anchor or a file that does not exist. The message suggests the nearest name.""",
    ),
    "PG103": Entry(
        "alternatives cannot be told apart",
        """\
The alternatives of a "oneOf" or "anyOf" have the same required properties. Readers must validate each to choose,
and the types of the SDKs show a union without a tag.

Give every alternative a required property of the same name with its own constant:

  "oneOf": [
    {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "text"}}},
    {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "image"}}}
  ]""",
    ),
    "PG104": Entry(
        "keyword is not read",
        """\
The keyword is none of JSON Schema's and none of protogen's, so that it has no effect. Often it is misspelt: the
message suggests the nearest one. A note of your own begins with "x-" and is left in peace.""",
    ),
    "PG105": Entry(
        "reference outside the project",
        """\
protogen never fetches anything: a reference to another host, or to a file outside the project's folder, is an
error. Copy the schema into the project and refer to it by a relative path.""",
    ),
    "PG106": Entry(
        "cycle of references",
        """\
Definitions refer to each other without ever describing a value, so that no value could be checked against them.
Recursion through a property, an array's items or a map is fine.""",
    ),
    "PG107": Entry(
        "names collide in a language",
        """\
Two names of the schema become the same name in a language's style (foo_bar and FooBar are both FooBar).
All of them get a number. Choose better names with "x-protogen-name" beside the definition or property.""",
    ),
    "PG108": Entry(
        "pinned names contradict",
        """\
Two "x-protogen-name" annotations ask for one name in the same scope. Change one of them.""",
    ),
    "PG109": Entry(
        "keywords beside $ref say nothing",
        """\
Up to draft-07 a "$ref" makes its neighbours meaningless. Put the reference into "allOf" beside them, or declare
a later draft with "$schema".""",
    ),
    "PG110": Entry(
        "keyword with a value of the wrong form",
        """\
For example "required": true, or "minimum": "0". The message says what the keyword takes.""",
    ),
    "PG111": Entry(
        "method names an unknown role or error",
        """\
The "from", "to" and "errors" of a method name entries of "x-roles" and "x-errors". The nearest one is suggested.""",
    ),
    "PG113": Entry(
        "unknown draft",
        """\
The "$schema" names no draft between 4 and 2020-12; the document is read as 2020-12.""",
    ),
    "PG114": Entry(
        "two errors with one code",
        """\
A caller looks an error up by its code. Give one another code, or give each its own "family" where the methods
that raise them are different ones.""",
    ),
    "PG115": Entry(
        "object keywords without a type",
        """\
"properties" says nothing about strings, numbers and arrays, so that all of them are valid. Add "type": "object".""",
    ),
    "PG116": Entry(
        "methods without a protocol",
        """\
A document describes a protocol when it has "x-protocol" with a name and a version. Without it only the types are
read, and "x-methods", "x-errors" and "x-roles" have no effect.""",
    ),
    "PG117": Entry(
        "unevaluated members are left to SDKs",
        """\
"unevaluatedProperties" and "unevaluatedItems" are written out in draft-07 for each way in which the alternatives beside
them can go. With more than 256 of those the keyword stays as it is: SDKs check it, samples and documents in draft-07 do
not. Use "additionalProperties" or "additionalItems" where that says it, or fewer alternatives.""",
    ),
    "PG120": Entry(
        "example cannot be read",
        """\
A file in examples/ beside a protocol document is an array of examples: a name, a summary, whether it is valid, and
either "method" with "request" or "type" with "value". One that is not so is left out of the documents.""",
    ),
    "PG130": Entry(
        "document of another kind is malformed",
        """\
An OpenRPC document or a meta-model breaks the format that it claims to have: a method without a name, a content
descriptor without a schema, a type of a kind that there is not. The message says what stands there and what should.""",
    ),
    "PG131": Entry(
        "kind of document is not known",
        """\
protogen reads protocol documents of its own, OpenRPC documents, JSON Schemas of messages (definitions with a constant
"method"), JSON Schemas with methods by side ("x-method", "x-side"), language server meta-models, and plain JSON
Schemas. It tells them by their members; --kind (or "kind" in protogen.toml) says it where that fails.""",
    ),
    "PG132": Entry(
        "described twice",
        """\
Two descriptions claim one method or one name. For messages of a schema the first one counts; a file of methods says
otherwise. In an OpenRPC document or a meta-model, remove one or give it another name.""",
    ),
    "PG133": Entry(
        "request without a result",
        """\
No definition is the result of this request by its name, so that any JSON value is taken for it. Say which type it has
in a file of methods beside the schema (docs/how-to/build-a-foreign-protocol.md).""",
    ),
    "PG134": Entry(
        "file of methods cannot be used",
        """\
NAME.methods.json beside NAME.json says what a schema leaves out, in the members of a protocol document: "x-methods",
"x-errors", "x-roles", "x-protocol". It is laid over what was found; null takes a member away. The message names what
does not fit.""",
    ),
    "PG135": Entry(
        "list of methods and schema differ",
        """\
A list of methods beside a schema names a method that no definition is marked with, or lacks one that is marked. What is
only in the list is left out; what is only in the schema is built.""",
    ),
    "PG201": Entry(
        "configuration cannot be used",
        """\
protogen.toml is missing, is not TOML, or has a key or value that protogen does not know. docs/reference/config.md
lists them all.""",
    ),
    "PG202": Entry(
        "unknown protocol",
        """\
The name is none of the [protocols.<name>] tables of protogen.toml, nor a file.""",
    ),
    "PG203": Entry(
        "unknown target or code",
        """\
protogen targets and protogen explain list what there is.""",
    ),
    "PG204": Entry(
        "toolchain is missing",
        """\
protogen verify runs generated code and needs the language's own tools: Node.js and TypeScript, or Go. The message says
how to get them; --target leaves a language out.""",
    ),
    "PG205": Entry(
        "samples cannot be used",
        """\
A file of samples has a line {"type", "value", "valid"} each; "type" is a definition's name, and "valid" may be left
out. The message names the lines that are not so.""",
    ),
    "PG206": Entry(
        "nothing to compare",
        """\
protogen diff found no protocol where one side was looked for. A side is a schema file, a folder (with a protogen.toml,
or with documents that have x-protocol), a git revision, or REVISION:PATH.""",
    ),
    "PG301": Entry(
        "output cannot be written",
        """\
The folder is read-only, the disk is full, or a file stands where a folder is needed. Everything that was there
before is unchanged: a build writes all of its files or none.""",
    ),
    "PG303": Entry(
        "manifest cannot be read",
        """\
MANIFEST.json in the output folder lists what protogen wrote there. It is damaged; delete it and build again.""",
    ),
    "PG304": Entry(
        "file was not written by protogen",
        """\
A file of the same name is in the output folder and protogen did not write it. Move it away, choose another
folder with --out, or replace it with --force.""",
    ),
    "PG305": Entry(
        "validators differ on a sample",
        """\
The two validators that label samples read a constraint in two ways, mostly a pattern. The sample is left out. Write the
constraint so that nobody can read it differently: people's validators will differ on it too.""",
    ),
    "PG306": Entry(
        "definition without a model",
        """\
The pydantic target must give every definition a class of its name, and did not for this one. Say it with fewer
combinators, or leave the protocol out of that target.""",
    ),
    "PG307": Entry(
        "params that OpenRPC cannot say",
        """\
An OpenRPC document lists params one by one, by their names. Where a method takes a union, or a member without a name,
the list stays empty; the type stands under "x-params", which other tools do not read.""",
    ),
    "PG401": Entry(
        "definition that nothing uses",
        """\
No method, error or example leads to the definition. SDKs carry it all the same, and readers wonder what it is for.""",
    ),
    "PG402": Entry(
        "two definitions of the same object",
        """\
Two named types have the same members. Where they mean the same, one of them is enough; where they do not, say so in
their descriptions. Off unless selected.""",
    ),
    "PG403": Entry(
        "keyword that says nothing",
        """\
The keyword means what its absence means ("additionalProperties": true, "minLength": 0, "required": []), or is a list
of one. `protogen lint --fix` takes it out.""",
    ),
    "PG404": Entry(
        "required member that is not described",
        """\
"required" names a member that "properties" does not have: most often the name is spelt in two ways, and then every
message is refused that has it only once.""",
    ),
    "PG405": Entry(
        "nothing fits",
        """\
Bounds that exclude each other, a required member that is false, a value of an enum that is not of the type beside it:
no value can meet this, or this value never fits.""",
    ),
    "PG411": Entry(
        "null fits several alternatives",
        """\
"oneOf" takes what exactly one alternative takes. Where two take null, null is refused, which is seldom meant. Let one
of them take it, or write "anyOf".""",
    ),
    "PG412": Entry(
        "alternatives overlap",
        """\
"oneOf" refuses a value that two alternatives take; the message shows one. Give the alternatives a required constant of
their own, which SDKs also choose by, or write "anyOf" if both may fit.""",
    ),
    "PG413": Entry(
        "open enum that does not say so",
        """\
"anyOf" of listed values and of any value of their type is an enum to which values may be added. Written as "enum" with
"x-open-enum": true, SDKs name the values and keep others.""",
    ),
    "PG421": Entry(
        "request without a result type",
        """\
A request is answered, and the document does not say with what: SDKs take any JSON. Where nothing comes, refer to a type
that is null or an empty object.""",
    ),
    "PG423": Entry(
        "reserved method name",
        """\
Names that begin with "rpc." are for extensions of JSON-RPC itself (section 8).""",
    ),
    "PG424": Entry(
        "params that are no object",
        """\
Params are an object or an array (JSON-RPC 2.0, section 4.2). A scalar needs a member to travel in, and an object can
take further members later.""",
    ),
    "PG431": Entry(
        "reserved error code",
        """\
JSON-RPC keeps -32768 to -32000 (section 5.1): five codes have a meaning, -32099 to -32000 are for servers, all others
are for later. An application's own codes lie outside, or among those for servers.""",
    ),
    "PG432": Entry(
        "error that no method gives",
        """\
Methods say which errors they give, and none gives this one. Name it where it belongs, or callers do not expect it.""",
    ),
    "PG441": Entry(
        "type that is not in Pascal case",
        """\
Types and errors become classes in each language. A name in Pascal case is the same there and in the schema.""",
    ),
    "PG442": Entry(
        "member in another style",
        """\
Most members of the document have one style of names, this one has another. Names on the wire are hard to change.""",
    ),
    "PG443": Entry(
        "method in another style",
        """\
Most methods separate their words by one sign, this one by another.""",
    ),
    "PG444": Entry(
        "value in another style",
        """\
Most values of the enum have one style, this one has another.""",
    ),
    "PG451": Entry(
        "type without a description",
        """\
The description becomes the documentation of the type in every language and on the reference pages.""",
    ),
    "PG452": Entry(
        "member without a description",
        """\
Neither the member nor its type is described. Off unless selected.""",
    ),
    "PG453": Entry(
        "error without a description",
        """\
The message says what happened; a description says when, and what a caller can do. Off unless selected.""",
    ),
    "PG454": Entry(
        "summary that is no sentence",
        """\
Summaries become the first line of documentation: one sentence, with a capital and a full stop.""",
    ),
    "PG461": Entry(
        "example that is not what it is marked as",
        """\
Examples are documentation that is checked: what is marked valid meets the schema, what is not breaks it.""",
    ),
    "PG462": Entry(
        "method without an example",
        """\
No valid example shows the method. Off unless selected.""",
    ),
    "PG463": Entry(
        "value in a schema that the schema refuses",
        """\
A "default" or one of "examples" is no value of the schema that it stands in.""",
    ),
    "PG490": Entry(
        "ignore without a use",
        """\
"x-protogen-ignore" names a rule that finds nothing at this place, or that does not exist. Remove it, so that the next
finding is seen.""",
    ),
    "PG601": Entry(
        "pattern is not checked in a language",
        """\
The regular expression uses something that the language's own expressions cannot say, such as a look-behind in Go or
a property escape in Python. The SDK of that language accepts every string there; the others check it. Write the
pattern without that construct, or check the value in your own code.""",
    ),
    "PG602": Entry(
        "default is no value of its type",
        """\
A "default" that the schema beside it refuses could never be a value of the member, so that the SDK offers no
default for it. Correct the default or the schema.""",
    ),
}
