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
