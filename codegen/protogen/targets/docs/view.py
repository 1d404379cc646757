"""A protocol as the pages of its reference.

Knows what a reader wants to know of methods, types and errors, in which order; not how a page is written out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from protogen import ir
from protogen.described import described, member_schema
from protogen.output import json_text
from protogen.targets.docs.anchors import Anchors, anchors
from protogen.targets.docs.blocks import (
    Anchor,
    Block,
    Bullets,
    Code,
    Entry,
    Folded,
    Heading,
    Link,
    Listing,
    Page,
    Paragraph,
    Rich,
    Row,
    Table,
    Text,
    first_sentence,
    line,
    prose,
    short_json,
)
from protogen.targets.docs.rules import rules

_MEMBERS = ("Member", "Type", "Presence", "Rules", "Meaning")


class Reference:
    """The pages of one protocol, and what a search finds in them."""

    def __init__(self, protocol: ir.Protocol) -> None:
        self._protocol = protocol
        self._table = ir.definition_table(protocol)
        self._anchors = anchors(protocol)
        self._described = described(protocol)
        self._errors = {code.name: code for code in protocol.errors}
        self._by_method: dict[str, list[ir.Example]] = defaultdict(list)
        self._by_type: dict[str, list[ir.Example]] = defaultdict(list)
        for example in protocol.examples:
            if example.method is not None:
                self._by_method[example.method].append(example)
            elif example.type is not None:
                self._by_type[example.type].append(example)
        self._users = self._uses()

    @property
    def anchors(self) -> Anchors:
        """The places of the protocol's parts."""
        return self._anchors

    def pages(self) -> tuple[Page, ...]:
        """The overview, and a page each for methods, types and errors where there are any."""
        protocol = self._protocol
        pages = [Page("README", protocol.title, tuple(self._overview()))]
        if protocol.methods:
            blocks = (block for method in protocol.methods for block in self._method(method))
            pages.append(Page("methods", "Methods", tuple(blocks)))
        if protocol.definitions:
            blocks = (block for definition in protocol.definitions for block in self._definition(definition))
            pages.append(Page("types", "Types", tuple(blocks)))
        if protocol.errors:
            pages.append(Page("errors", "Errors", tuple(self._errors_page())))
        return tuple(pages)

    def entries(self) -> Iterator[Entry]:
        """Everything that can be searched for: roles, methods, errors, types, members."""
        at = self._anchors
        for role in self._protocol.roles:
            yield Entry(role.name, "role", first_sentence(role.doc), at.roles[role.name])
        for method in self._protocol.methods:
            about = first_sentence(method.summary or method.doc)
            yield Entry(method.name, method.kind, about, at.methods[method.name])
        for code in self._protocol.errors:
            yield Entry(f"{code.name} {code.code}", "error", code.message, at.errors[code.name])
        for definition in self._protocol.definitions:
            yield Entry(definition.name, "type", first_sentence(definition.doc), at.types[definition.name])
        for definition in self._protocol.definitions:
            for field in definition.fields if isinstance(definition, ir.Record) else ():
                name = f"{definition.name}.{field.wire}"
                yield Entry(name, "member", first_sentence(field.doc), at.members[definition.name, field.wire])

    # --- overview -------------------------------------------------------------------------------

    def _overview(self) -> Iterator[Block]:
        protocol = self._protocol
        named: Rich = (Code(protocol.name), Text(", version "), Code(protocol.version), Text("."))
        yield Paragraph(named)
        yield from prose(protocol.doc or protocol.summary)
        if protocol.roles:
            yield Heading(2, (Text("Roles"),))
            yield Table(("Role", "What it does", "Serves", "Sends"), tuple(self._role(role) for role in protocol.roles))
        if protocol.methods:
            yield Heading(2, (Text("Methods"),))
            rows = tuple(
                Row((self._method_link(m), _direction(m), _words(_kind(m)), line(m.summary or m.doc)))
                for m in protocol.methods
            )
            yield Table(("Method", "Direction", "Kind", "What it does"), rows)
            yield Heading(2, (Text("Transports"),))
            yield from self._transports()
        if protocol.errors:
            yield Heading(2, (Text("Errors"),))
            rows = tuple(
                Row((self._error_link(code), (Code(str(code.code)),), (Text(code.message),)))
                for code in protocol.errors
            )
            yield Table(("Error", "Code", "Message"), rows)
        listed = [definition for definition in protocol.definitions if definition.name in protocol.roots]
        if listed:
            yield Heading(2, (Text("Types"),))
            rows = tuple(Row((self._type_link(d.name), _words(first_sentence(d.doc)))) for d in listed)
            yield Table(("Type", "Meaning"), rows)

    def _role(self, role: ir.Role) -> Row:
        served = ir.served(self._protocol, role.name)
        sent = ir.sent(self._protocol, role.name)
        cells = (
            (Code(role.name),),
            line(role.doc),
            _listed(list(map(self._method_link, served))),
            _listed(list(map(self._method_link, sent))),
        )
        return Row(cells, self._anchors.roles[role.name])

    def _transports(self) -> Iterator[Block]:
        http = self._protocol.http
        yield Paragraph((Text("Every message is a JSON-RPC 2.0 message, on each of these transports:"),))
        items: list[Rich] = [
            (
                Text("HTTP: one message a request, "),
                Code(f"POST {http.path}"),
                Text(" with "),
                Code("application/json"),
                Text("."),
            )
        ]
        if http.health_path:
            items.append(
                (Text("Health: "), Code(f"GET {http.health_path}"), Text(" answers where the server is ready."))
            )
        if any(method.events is not None for method in self._protocol.methods):
            items.append(
                (
                    Text("Streams: an answer of "),
                    Code("text/event-stream"),
                    Text(" carries the events before the result."),
                )
            )
        if any(m.mutual for m in self._protocol.methods) or len({m.receiver for m in self._protocol.methods}) > 1:
            about = "Callbacks: a server calls its caller in an event stream; the answer comes with the header "
            items.append((Text(about), Code(http.instance_header), Text(".")))
        items.append((Text("stdio: one message a line, UTF-8, in both directions."),))
        yield Bullets(tuple(items))

    # --- methods --------------------------------------------------------------------------------

    def _method(self, method: ir.Method) -> Iterator[Block]:
        yield Heading(2, (Code(method.name),), self._anchors.methods[method.name])
        facts: list[Text | Code | Link] = [Text(f"{_kind(method).capitalize()}, "), *_direction(method)]
        if method.idempotent:
            facts.append(Text(", idempotent"))
        if method.since:
            facts.append(Text(f", since {method.since}"))
        yield Paragraph((*facts, Text(".")))
        if method.deprecated:
            yield Paragraph((Text("Deprecated: new code should not call it."),))
        yield from prose(method.summary)
        if method.doc != method.summary:
            yield from prose(method.doc)
        yield Heading(3, (Text("Params"),))
        if method.params is None:
            yield Paragraph((Text("None."),))
        else:
            by = {"by-name": "By name", "by-position": "By position", "either": "By name or by position"}
            yield Paragraph((Text(f"{by[method.param_structure]}: "), *self._type(method.params), Text(".")))
            yield from self._members(method.params)
        if method.kind == "request":
            yield Heading(3, (Text("Result"),))
            yield Paragraph((*self._type(method.result or ir.AnyType()), Text(".")))
            yield from self._members(method.result)
        if method.events is not None:
            yield Heading(3, (Text("Events"),))
            how = ", each as the result of a response of its own" if method.events_are_results else ""
            yield Paragraph((*self._type(method.events), Text(f"{how}.")))
        if method.errors:
            yield Heading(3, (Text("Errors"),))
            yield self._error_table(self._errors[name] for name in method.errors if name in self._errors)
        examples = self._by_method.get(method.name)
        if examples:
            yield Heading(3, (Text("Examples"),))
            for example in examples:
                yield _example(example)

    def _members(self, type_: ir.Type | None) -> Iterator[Block]:
        """The table of a record's members, where the type is one."""
        definition = self._record(type_)
        if definition is not None and definition.fields:
            yield Table(_MEMBERS, tuple(self._member(definition, field) for field in definition.fields))

    def _record(self, type_: ir.Type | None) -> ir.Record | None:
        seen: set[str] = set()
        while isinstance(type_, ir.NamedType) and type_.name not in seen:
            seen.add(type_.name)
            definition = self._table.get(type_.name)
            if isinstance(definition, ir.Record):
                return definition
            type_ = definition.type if isinstance(definition, ir.Alias) else None
        return None

    def _error_table(self, codes: Iterable[ir.ErrorCode]) -> Table:
        rows = tuple(
            Row(
                (
                    (Code(str(code.code)),),
                    self._error_link(code),
                    line(code.doc or code.message),
                    self._type(code.data) if code.data is not None else (),
                )
            )
            for code in codes
        )
        return Table(("Code", "Error", "When", "Data"), rows)

    # --- types ----------------------------------------------------------------------------------

    def _definition(self, definition: ir.AnyDefinition) -> Iterator[Block]:
        yield Heading(2, (Code(definition.name),), self._anchors.types[definition.name])
        if definition.deprecated:
            yield Paragraph((Text("Deprecated: new code should not use it."),))
        yield from prose(definition.doc)
        match definition:
            case ir.Record():
                yield from self._record_blocks(definition)
            case ir.Enum(values=values, open=is_open):
                yield Paragraph((Text("One of these values; others may come." if is_open else "One of these values."),))
                rows = tuple(Row(((Code(short_json(value.value)),), line(value.doc))) for value in values)
                yield Table(("Value", "Meaning"), rows)
            case ir.Union():
                yield from self._union(definition)
            case ir.Alias(type=type_):
                said = rules(self._lowered(definition.name), type_)
                colon = (Text(": "), *said) if said else ()
                yield Paragraph((*_capital(self._type(type_)), *colon, Text(".")))
        if not definition.exact:
            yield Paragraph((Text("The schema says more than the types can."),))
        schema = json_text(self._lowered(definition.name))
        yield Folded((Text("JSON Schema"),), (Listing(schema),))
        for example in self._by_type.get(definition.name, ()):
            yield _example(example)
        users = self._users.get(definition.name)
        if users:
            yield Paragraph((Text("Used by "), *_listed(users), Text(".")))

    def _record_blocks(self, record: ir.Record) -> Iterator[Block]:
        if record.fields:
            rows = tuple(
                self._member(record, field, self._anchors.members[record.name, field.wire]) for field in record.fields
            )
            yield Table(_MEMBERS, rows)
        match record.extra:
            case None:
                yield Paragraph((Text("No other members."),))
            case ir.AnyType():
                yield Paragraph((Text("Other members are allowed."),))
            case _:
                yield Paragraph((Text("Other members: "), *self._type(record.extra), Text(".")))

    def _member(self, record: ir.Record, field: ir.Field, anchor: Anchor | None = None) -> Row:
        schema = member_schema(record.name, field.wire, self._described)
        marks = [
            words
            for words, said in (
                ("Deprecated.", field.deprecated),
                ("Set by the receiver only.", field.read_only),
                ("Sent, never returned.", field.write_only),
            )
            if said
        ]
        meaning = line(field.doc)
        presence: Rich = (Text("required" if field.required else "optional"),)
        if not isinstance(field.default, ir.UnsetType):
            presence = (*presence, Text(", default "), Code(short_json(field.default)))
        cells = (
            (Code(field.wire),),
            self._type(field.type),
            presence,
            rules(schema, field.type),
            ((Text(" ".join(marks)), Text(" " if meaning else ""), *meaning) if marks else meaning),
        )
        return Row(cells, anchor)

    def _union(self, union: ir.Union) -> Iterator[Block]:
        if union.tag is not None:
            more = "; other values may come." if union.open else "."
            yield Paragraph((Text("One of these, told apart by "), Code(union.tag), Text(more)))
        else:
            yield Paragraph((Text("One of these."),))
        rows: list[Row] = []
        for arm in union.arms:
            told: Rich
            if arm.tags:
                told = _listed([(Code(short_json(tag)),) for tag in arm.tags])
            elif arm.required:
                told = (Text("has "), *_listed([(Code(key),) for key in arm.required]))
            else:
                told = _words(" or ".join(arm.kinds))
            rows.append(Row((self._type(arm.type), told, line(arm.doc))))
        yield Table(("Type", "Told by", "Meaning"), tuple(rows))

    def _lowered(self, name: str) -> ir.Json:
        return self._protocol.schema["definitions"].get(name, True)

    def _uses(self) -> dict[str, list[Rich]]:
        """Type to what refers to it: methods first, then errors, then types, each once."""
        users: dict[str, dict[Rich, None]] = defaultdict(dict)
        for method in self._protocol.methods:
            for type_ in (method.params, method.result, method.events):
                for name in _names(type_):
                    users[name].setdefault(self._method_link(method))
        for code in self._protocol.errors:
            for name in _names(code.data):
                users[name].setdefault(self._error_link(code))
        for definition in self._protocol.definitions:
            for name in _referred(definition):
                users[name].setdefault(self._type_link(definition.name))
        return {name: list(links) for name, links in users.items()}

    # --- errors ---------------------------------------------------------------------------------

    def _errors_page(self) -> Iterator[Block]:
        families: dict[str | None, list[ir.ErrorCode]] = defaultdict(list)
        for code in self._protocol.errors:
            families[code.family].append(code)
        for family, codes in families.items():
            if len(families) > 1:
                yield Heading(2, (Text("Family "), Code(family)) if family else (Text("Without a family"),))
            for code in codes:
                yield from self._error(code, level=3 if len(families) > 1 else 2)

    def _error(self, code: ir.ErrorCode, *, level: int) -> Iterator[Block]:
        yield Heading(level, (Code(code.name),), self._anchors.errors[code.name])
        yield Paragraph(
            (Text("Code "), Code(str(code.code)), Text(", message "), Code(short_json(code.message)), Text("."))
        )
        yield from prose(code.doc)
        if code.data is not None:
            yield Paragraph((Text("Data: "), *self._type(code.data), Text(".")))
            yield from self._members(code.data)
        senders = [self._method_link(m) for m in self._protocol.methods if code.name in m.errors]
        if senders:
            yield Paragraph((Text("Answered by "), *_listed(senders), Text(".")))

    # --- parts ----------------------------------------------------------------------------------

    def _type(self, type_: ir.Type) -> Rich:
        match type_:
            case ir.AnyType():
                return _words("any JSON")
            case ir.NullType():
                return (Code("null"),)
            case ir.LiteralType(value=value):
                return (Code(short_json(value)),)
            case ir.ListType(item=item):
                return (Text("array of "), *self._type(item))
            case ir.TupleType(items=items):
                return (Text("array of exactly "), *_listed([self._type(item) for item in items]))
            case ir.MapType(value=value):
                return (Text("object of "), *self._type(value))
            case ir.NullableType(of=inner):
                return (*self._type(inner), Text(" or "), Code("null"))
            case ir.NamedType(name=name):
                return self._type_link(name)
            case ir.BooleanType() | ir.StringType() | ir.IntegerType() | ir.NumberType():
                return _words(_SCALARS[type(type_)])

    def _type_link(self, name: str) -> Rich:
        return (Link(name, self._anchors.types[name]),) if name in self._anchors.types else (Code(name),)

    def _method_link(self, method: ir.Method) -> Rich:
        return (Link(method.name, self._anchors.methods[method.name]),)

    def _error_link(self, code: ir.ErrorCode) -> Rich:
        return (Link(code.name, self._anchors.errors[code.name]),)


_SCALARS = {
    ir.BooleanType: "boolean",
    ir.StringType: "string",
    ir.IntegerType: "integer",
    ir.NumberType: "number",
}


def _words(text: str) -> Rich:
    return (Text(text),) if text else ()


def _capital(text: Rich) -> Rich:
    first = text[0]
    return (Text(first.text[:1].upper() + first.text[1:]), *text[1:]) if isinstance(first, Text) else text


def _listed(parts: list[Rich]) -> Rich:
    return tuple(piece for at, part in enumerate(parts) for piece in ((Text(", "), *part) if at else part))


def _direction(method: ir.Method) -> tuple[Code, Text, Code]:
    return (Code(method.sender), Text(" ↔ " if method.mutual else " → "), Code(method.receiver))


def _kind(method: ir.Method) -> str:
    streamed = method.kind == "request" and method.events is not None
    return "request, answered by a stream" if streamed else method.kind


def _example(example: ir.Example) -> Folded:
    blocks: list[Block] = []
    if example.why:
        blocks.append(Paragraph((Text("Not valid: "), *line(example.why), Text("."))))
    if not isinstance(example.value, ir.UnsetType):
        blocks.append(Listing(json_text(example.value)))
    if not isinstance(example.request, ir.UnsetType):
        blocks += [Paragraph((Text("Sent:"),)), Listing(json_text(example.request))]
    for event in example.events:
        blocks += [Paragraph((Text("Event:"),)), Listing(json_text(event))]
    if not isinstance(example.response, ir.UnsetType):
        blocks += [Paragraph((Text("Answered:"),)), Listing(json_text(example.response))]
    elif example.error is not None:
        blocks.append(Paragraph((Text("Answered by the error "), Code(str(example.error)), Text("."))))
    mark = "" if example.valid else " (not valid)"
    return Folded((Text(f"{example.summary}{mark}"),), tuple(blocks))


def _names(type_: ir.Type | None) -> Iterator[str]:
    match type_:
        case ir.NamedType(name=name):
            yield name
        case ir.ListType(item=inner) | ir.MapType(value=inner) | ir.NullableType(of=inner):
            yield from _names(inner)
        case ir.TupleType(items=items):
            for item in items:
                yield from _names(item)
        case _:
            return


def _referred(definition: ir.AnyDefinition) -> Iterator[str]:
    match definition:
        case ir.Record(fields=fields, extra=extra):
            for field in fields:
                yield from _names(field.type)
            yield from _names(extra)
        case ir.Union(arms=arms):
            for arm in arms:
                yield from _names(arm.type)
        case ir.Alias(type=type_):
            yield from _names(type_)
        case ir.Enum():
            return
