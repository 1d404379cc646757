"""The boundary between JSON text and typed values: decode, encode, and who decides what is valid.

Knows no transport. msgspec decodes and checks in one pass; whatever it refuses (an unknown member, `1.0` for an
integer) or cannot check goes through the generated validators, and only then is the typed value built, with unknown
members kept in `extra`. So nothing invalid gets in and nothing valid is refused or loses a member.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from .jsonvalue import Json
from .schema import Issue, SchemaReader

EXTRA: Final = "\ufdd0extra"
"""Stands for the unknown members of a record while msgspec writes it; a noncharacter that no protocol uses."""

UNKNOWN: Final = "\ufdd0unknown"
"""The tag under which an alternative that the protocol does not list is held."""

_MARK: Final = "\ufdd0".encode()
_MARK_BYTE: Final = _MARK[0]
_BACKSLASH: Final = ord("\\")
_ESCAPED_MARK: Final = re.compile(rb"\\u[fF][dD][dD]0")


class Record(Struct, kw_only=True, forbid_unknown_fields=True):
    """An object whose members are all known."""


class OpenRecord(Record, kw_only=True):
    """An object that may have members beside the known ones; `extra` keeps those, UNSET where there are none."""

    extra: dict[str, Json] | UnsetType = field(name=EXTRA, default=UNSET)


class UnknownVariant(Struct, kw_only=True, forbid_unknown_fields=True):
    """An alternative of an open union that this version of the protocol does not list, as it came."""

    raw: dict[str, Json] = field(name="\ufdd0raw")


class Arm(Struct, frozen=True, kw_only=True):
    """One alternative of a boxed union and what tells it from the others.

    `kinds` are the JSON kinds it can have (empty: any), `required` the keys that an object of it must have,
    `tags` the values of the union's tag property, `schema` the name of what decides, empty where there is one arm.
    """

    type: Any
    kinds: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    schema: str = ""


class Boxed:
    """A value of one of several types that only its content tells apart; `value` is what it holds."""

    __slots__ = ("value",)
    __match_args__ = ("value",)

    ARMS: ClassVar[tuple[Arm, ...]] = ()
    TAG: ClassVar[str | None] = None

    value: Any

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]  # compares by a value that can change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class ValidationError(ValueError):
    """A value breaks its schema, or a text is not JSON; `errors` lists every fault with its path.

    Not raised for answers: a result that breaks its schema is an InvalidResultError.
    """

    def __init__(self, type_name: str, errors: Iterable[Issue]) -> None:
        self.type_name = type_name
        self.errors: tuple[Issue, ...] = tuple(errors)
        listed = "; ".join(f"{issue.path}: {issue.message}" for issue in self.errors[:5])
        more = f" and {len(self.errors) - 5} more" if len(self.errors) > 5 else ""
        super().__init__(f"not a valid {type_name}: {listed}{more}")

    def as_data(self) -> dict[str, Json]:
        """The faults as `{"errors": [{"path", "message"}]}`, the data of an invalid-params error."""
        return {"errors": [{"path": issue.path, "message": issue.message} for issue in self.errors]}


Check: TypeAlias = Callable[[Json], bool]
Build: TypeAlias = Callable[[Json], Any]


class Rules(Struct, frozen=True):
    """What decides on validity, loaded when it is first needed.

    `checks` are the generated validators by definition, `schema` the embedded document, `patterns` its patterns.
    """

    checks: Mapping[str, Check]
    schema: dict[str, Json]
    patterns: Mapping[str, re.Pattern[str]]


class Codec:
    """Typed values of one protocol to and from JSON, by the names of its definitions.

    `types` maps each name to what msgspec decodes it as; for the names in `exact` msgspec alone is a full check, for
    those in `bounded` it is one of all but constraints. A codec that has another one in `full` leaves constraints to
    that: bounds of numbers, lengths and sizes, patterns, unique items, `contains` and the names of members.
    """

    def __init__(
        self,
        types: Mapping[str, Any],
        *,
        exact: frozenset[str],
        bounded: frozenset[str] = frozenset(),
        load_rules: Callable[[], Rules],
        full: Codec | None = None,
    ) -> None:
        self._types = types
        self._exact = exact
        self._bounded = bounded
        self._load_rules = load_rules
        self._full = full
        self._loose: Codec | None = None
        self._rules: Rules | None = None
        self._builder = Builder(self._admits if full is None else self._likens)
        self._encoder = msgspec.json.Encoder(enc_hook=_unbox)
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    def under(self, *, constraints: bool) -> Codec:
        """The codec that checks constraints, or the one that does not."""
        if constraints:
            return self if self._full is None else self._full
        if self._full is not None:
            return self
        if self._loose is None:
            exact = self._exact | self._bounded
            self._loose = Codec(self._types, exact=exact, load_rules=self._load, full=self)
        return self._loose

    def decode(self, name: str, data: bytes | Raw) -> Any:
        """The typed value of a JSON text.

        Errors: ValidationError where it is not JSON or not valid, KeyError for a name that is no definition.
        """
        text = data if data.__class__ is bytes else bytes(data)
        decode = self._decoders.get(name) or self._decoder(name)
        # Two searches for a byte, which most messages have neither of, spare those for the mark itself.
        if decode is not _refuse and not ((_MARK_BYTE in text or _BACKSLASH in text) and _has_mark(text)):
            try:
                return decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the validators decide
        return self._build(name, self._parse(name, text))

    def from_json(self, name: str, value: Json) -> Any:
        """The typed value of a JSON value as a reader made it. Errors: as `decode`."""
        if name not in self._types:
            raise KeyError(name)
        return self._build(name, value)

    def encode(self, value: Any) -> bytes:
        """The value as compact JSON, unknown members included; not checked against any schema."""
        data = self._encoder.encode(value)
        return self._encoder.encode(to_json(value)) if _MARK in data else data

    def encode_as(self, name: str, value: Any) -> bytes:
        """The value as compact JSON that is valid for the definition. Errors: ValidationError, KeyError."""
        try:
            data = self.encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValidationError(name, [Issue("$", f"cannot be written as JSON: {error}")]) from error
        self.check(name, data)
        return data

    def check(self, name: str, data: bytes | Raw) -> None:
        """Nothing where the JSON text is valid for the definition. Errors: ValidationError, KeyError."""
        text = data if data.__class__ is bytes else bytes(data)
        decode = self._decoders.get(name) or self._decoder(name)
        if decode is not _refuse and not _has_mark(text):
            try:
                decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the validators decide
            else:
                return
        self._validate(name, self._parse(name, text))

    @property
    def names(self) -> frozenset[str]:
        """The names of all definitions."""
        return frozenset(self._types)

    def _decoder(self, name: str) -> Callable[[bytes], Any]:
        """msgspec's decoder of an exact definition; `_refuse` for one whose values only validators know."""
        type_ = self._types[name]
        decode: Callable[[bytes], Any] = _refuse
        if name in self._exact:
            decode = msgspec.json.Decoder(type_, dec_hook=_box).decode
        self._decoders[name] = decode
        return decode

    def _load(self) -> Rules:
        if self._rules is None:
            self._rules = self._load_rules()
        return self._rules

    def _parse(self, name: str, data: bytes) -> Json:
        try:
            return msgspec.json.decode(data)
        except RecursionError:
            raise ValidationError(name, [Issue("$", "is nested too deeply")]) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValidationError(name, [Issue("$", f"is not JSON: {error}")]) from None

    def _build(self, name: str, value: Json) -> Any:
        self._validate(name, value)
        try:
            return self._builder.build(self._types[name], value)
        except RecursionError:
            raise ValidationError(name, [Issue("$", "is nested too deeply")]) from None

    def _validate(self, name: str, value: Json) -> None:
        rules = self._load()
        try:
            if rules.checks[name](value):
                return
            reader = self._reader(rules)
            found = reader.issues(reader.definition(name), value)
        except RecursionError:
            found = [Issue("$", "is nested too deeply")]
        if found or self._full is None:
            raise ValidationError(name, found or [Issue("$", "breaks its schema")])

    def _reader(self, rules: Rules) -> SchemaReader:
        return SchemaReader(rules.schema, rules.patterns, constraints=self._full is None)

    def _admits(self, arms: list[Arm], value: Json) -> Arm | None:
        """The first alternative that a value is valid for."""
        checks = self._load().checks
        return next((arm for arm in arms if not arm.schema or checks[arm.schema](value)), None)

    def _likens(self, arms: list[Arm], value: Json) -> Arm | None:
        """The first alternative that a value is valid for, else the first whose types it has."""
        found = self._admits(arms, value)
        if found is None:
            reader = self._reader(self._load())
            found = next((arm for arm in arms if reader.is_valid(reader.definition(arm.schema), value)), None)
        return found


def _has_mark(text: bytes) -> bool:
    return _MARK in text or (_BACKSLASH in text and _ESCAPED_MARK.search(text) is not None)


def _refuse(text: bytes) -> Any:
    raise AssertionError(f"no decoder for {text!r}")


def _unbox(value: Any) -> Any:
    if isinstance(value, Boxed):
        return value.value
    raise TypeError(f"{type(value).__name__} is not a type of this protocol")


def to_json(value: Any) -> Json:
    """A typed value as plain JSON values, unknown members merged in; what is plain already is copied."""
    if isinstance(value, UnknownVariant):
        return value.raw
    if isinstance(value, Struct):
        return _struct_to_json(value)
    if isinstance(value, Boxed):
        return to_json(value.value)
    kind = value.__class__
    if kind is dict:
        return {key: to_json(member) for key, member in value.items()}
    if kind in (list, tuple):
        return [to_json(item) for item in value]
    return value


def _struct_to_json(value: Struct) -> dict[str, Json]:
    config = value.__struct_config__
    members: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    if config.tag_field is not None:
        members[config.tag_field] = config.tag
    for name, wire in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        member = getattr(value, name)
        if member is UNSET:
            continue
        if wire == EXTRA:
            extra = {key: to_json(item) for key, item in member.items()}
        else:
            members[wire] = to_json(member)
    return {**extra, **members}


# --- typed values from valid JSON values ----------------------------------------------------------


def _same(value: Json) -> Json:
    return value


def _whole(value: Json) -> Json:
    """`1.0` and `1e2` are integers to JSON Schema, and arrive as such."""
    return int(value) if type(value) is float and value.is_integer() else value


class Builder:
    """Makes typed values of JSON values that are known to be valid; one builder function per type, made on use.

    `choose` gives the alternative that a value is valid for, where nothing else tells it from its neighbours.
    """

    def __init__(self, choose: Callable[[list[Arm], Json], Arm | None]) -> None:
        self._choose = choose
        self._builds: dict[Any, Build] = {}

    def build(self, type_: Any, value: Json) -> Any:
        """`value` as `type_`, which is any type that a generated module uses."""
        return self._for(type_)(value)

    def _for(self, type_: Any) -> Build:
        build = self._builds.get(type_)
        if build is None:
            build = self._make(type_)
            self._builds[type_] = build
        return build

    def _make(self, type_: Any) -> Build:
        if type_ is int:
            return _whole
        origin = get_origin(type_)
        if origin is Annotated:
            return self._for(get_args(type_)[0])
        if origin is Literal:
            return _whole if any(type(item) is int for item in get_args(type_)) else _same
        if origin is list:
            return self._list(get_args(type_)[0])
        if origin is tuple:
            return self._tuple(get_args(type_))
        if origin is dict:
            return self._dict(get_args(type_)[1])
        if origin is UnionType or origin is Union:
            return self._union(get_args(type_))
        if isinstance(type_, type) and issubclass(type_, Struct):
            return self._struct(type_)
        if isinstance(type_, type) and issubclass(type_, Boxed):
            return self._boxed(type_)
        return _same

    def _list(self, item: Any) -> Build:
        # Looked up on use: the item may be the record that is being made.
        return lambda value: [build(member) for member in value] if (build := self._for(item)) is not _same else value

    def _tuple(self, items: tuple[Any, ...]) -> Build:
        return lambda value: tuple(self._for(item)(member) for item, member in zip(items, value, strict=True))

    def _dict(self, member_type: Any) -> Build:
        def build_dict(value: Json) -> Any:
            build = self._for(member_type)
            return {key: build(member) for key, member in value.items()}

        return build_dict

    def _union(self, members: tuple[Any, ...]) -> Build:
        present = [member for member in members if member is not UnsetType]
        if all(_is_kept(member) for member in present):
            return _same
        kinds = {kind: member for member in present for kind in _python_kinds(member)}
        structs = [member for member in present if _is_tagged(member)]

        def build_union(value: Json) -> Any:
            kind = value.__class__
            if kind is dict and structs:
                return self._tagged(structs, value)
            member = kinds.get(int if kind is float and float not in kinds else kind, kinds.get(object))
            return value if member is None else self._for(member)(value)

        return build_union

    def _tagged(self, structs: list[Any], value: dict[str, Json]) -> Any:
        unknown: Any = None
        for struct in structs:
            config = struct.__struct_config__
            if config.tag == UNKNOWN:
                unknown = struct
            elif value.get(config.tag_field) == config.tag:
                return self._for(struct)(value)
        return value if unknown is None else unknown(raw=value)

    def _struct(self, struct: Any) -> Build:
        config = struct.__struct_config__
        members: dict[str, tuple[str, Build]] = {}
        extra: str | None = None
        extra_type: Any = Any
        build_extra: Build | None = None

        def learn() -> None:
            # On first use: a field may be of the type that is being made.
            nonlocal extra, extra_type
            for info in msgspec.structs.fields(struct):
                if info.encode_name == EXTRA:
                    extra = info.name
                    extra_type = info.type
                else:
                    members[info.encode_name] = (info.name, self._for(info.type))

        def build_struct(value: Json) -> Any:
            nonlocal build_extra
            if build_extra is None:
                learn()
                build_extra = self._for(extra_type)
            known: dict[str, Any] = {}
            others: dict[str, Json] = {}
            for key, member in value.items():
                target = members.get(key)
                if target is not None:
                    name, build = target
                    known[name] = member if build is _same else build(member)
                elif key != config.tag_field:
                    others[key] = member
            if others and extra is not None:
                known[extra] = build_extra(others)
            return struct(**known)

        return build_struct

    def _boxed(self, box: Any) -> Build:
        def build_boxed(value: Json) -> Any:
            arms = candidates(box, value)
            chosen = arms[0] if len(arms) == 1 else self._choose(arms, value)
            return box(value if chosen is None else self._for(chosen.type)(value))

        return build_boxed


def candidates(box: type[Boxed], value: Json) -> list[Arm]:
    """The alternatives that `value` can be by its kind, its tag and its keys, the likeliest first."""
    kinds = json_kinds(value)
    arms = [arm for arm in box.ARMS if not arm.kinds or not kinds.isdisjoint(arm.kinds)]
    if value.__class__ is not dict:
        return arms
    if box.TAG is not None and any(arm.tags for arm in arms):
        tag = value.get(box.TAG)
        return [arm for arm in arms if tag in arm.tags] or [arm for arm in arms if not arm.tags]
    fitting = [arm for arm in arms if all(key in value for key in arm.required)]
    return sorted(fitting, key=lambda arm: -len(arm.required))


def json_kinds(value: Json) -> frozenset[str]:
    """The JSON kinds of a value: an integer, and a number without a fraction, is both integer and number."""
    if type(value) is float and value.is_integer():
        return _KINDS_OF[int]
    return _KINDS_OF[type(value)]


_KINDS_OF: Final[dict[type, frozenset[str]]] = {
    NoneType: frozenset({"null"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number"}),
    str: frozenset({"string"}),
    list: frozenset({"array"}),
    dict: frozenset({"object"}),
}


def _is_kept(member: Any) -> bool:
    """Whether a JSON value of this type stays as it is."""
    if get_origin(member) is Annotated:
        return _is_kept(get_args(member)[0])
    if get_origin(member) is Literal:
        return not any(type(item) is int for item in get_args(member))
    return member in (NoneType, bool, float, str, Any)


def _is_tagged(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, Struct) and member.__struct_config__.tag is not None


def _python_kinds(member: Any) -> tuple[type, ...]:
    """The types of JSON values that a member of a union stands for; `object` stands for all others."""
    origin = get_origin(member)
    if origin is Annotated:
        return _python_kinds(get_args(member)[0])
    if origin is Literal:
        return tuple(item.__class__ for item in get_args(member))
    if origin is list or origin is tuple:
        return (list,)
    if origin is dict:
        return (dict,)
    if member in (NoneType, bool, int, float, str):
        return (member,)
    if isinstance(member, type) and issubclass(member, Struct):
        return (dict,)
    return (object,)


def _box(type_: Any, value: Json) -> Any:
    """msgspec's hook for boxed unions: the likeliest alternative or a refusal, after which the validators decide."""
    if isinstance(type_, type) and issubclass(type_, Boxed):
        arms = candidates(type_, value)
        if not arms:
            raise msgspec.ValidationError(f"no alternative of {type_.__name__} fits")
        return type_(msgspec.convert(value, arms[0].type, dec_hook=_box))
    raise TypeError(f"{type_!r} is not a type of this protocol")


_DEFAULTS: Final = Builder(lambda arms, _value: arms[0] if arms else None)


def default_of(type_: Any, text: str) -> Any:
    """A new value of `type_` for a default that the schema states as JSON."""
    return _DEFAULTS.build(type_, msgspec.json.decode(text))
