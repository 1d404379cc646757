"""What typed values look like to those who write Python with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

UUID_FREE = {"id": "a", "needed-null": None, "list": ["x"]}


def everything(toy: Any, **members: Any) -> Any:
    return toy.decode("Everything", json.dumps({**UUID_FREE, **members}).encode())


def test_absent_null_and_value_are_told_apart(toy: Any) -> None:
    unset = toy.types.UNSET
    assert everything(toy).maybe is unset
    assert everything(toy, maybe=None).maybe is None
    assert everything(toy, maybe=3).maybe == 3
    for members in ({}, {"maybe": None}, {"maybe": 3}):
        value = everything(toy, **members)
        assert json.loads(toy.encode(value)) == {**UUID_FREE, **members}


def test_names_that_python_cannot_have_are_renamed(toy: Any) -> None:
    members = {
        "class": "c",
        "_meta": {},
        "$type": "t",
        "a b": 1,
        "a-b": 2,
        "9lives": 9,
        "": 0,
        "extra": 5,
        "self": UUID_FREE,
    }
    value = everything(toy, **members)
    assert (value.class_, value.meta, value.type, value.a_b_1, value.a_b_2) == ("c", {}, "t", 1, 2)
    assert (value._9_lives, value.value, value.extra_, value.self_.id) == (9, 0, 5, "a")
    assert json.loads(toy.encode(value)) == {**UUID_FREE, **members}


def test_unknown_members_are_in_extra_and_come_out_again(toy: Any) -> None:
    value = everything(toy, unknown={"x": [1, None]}, other=0)
    assert value.extra == {"unknown": {"x": [1, None]}, "other": 0}
    value.extra["more"] = True
    assert json.loads(toy.encode(value)) == {**UUID_FREE, "unknown": {"x": [1, None]}, "other": 0, "more": True}


def test_member_that_msgspec_cannot_name_is_in_extra(toy: Any) -> None:
    assert everything(toy, **{'qu"ote\\': 4}).extra == {'qu"ote\\': 4}
    with pytest.raises(toy.ValidationError):
        everything(toy, **{'qu"ote\\': "4"})


def test_extra_cannot_be_reached_from_outside(toy: Any) -> None:
    for spelling in (b'"\\ufdd0extra"', b'"\\uFDD0extra"', b'"\\ufdd0\\u0065xtra"', '"\ufdd0extra"'.encode()):
        value = toy.decode("NotThereData", b'{"name":"n",%b:{"name":5}}' % spelling)
        assert (value.name, value.extra) == ("n", {"\ufdd0extra": {"name": 5}})
        assert json.loads(toy.encode(value)) == {"name": "n", "\ufdd0extra": {"name": 5}}
        with pytest.raises(toy.ValidationError):
            toy.decode("AddParams", b'{"a":1,"b":2,%b:{}}' % spelling)
        any_json = toy.decode("EchoParams", b'{"value":{%b:{"x":1}}}' % spelling)
        assert json.loads(toy.encode(any_json)) == {"value": {"\ufdd0extra": {"x": 1}}}


def test_defaults_are_read_and_never_written(toy: Any) -> None:
    value = everything(toy)
    assert (value.flag_or_default, value.class_or_default) == (True, 'a"b\\')
    assert value.defaults_or_default == [toy.Closed(x=1)]
    assert value.defaults_or_default is not value.defaults_or_default
    assert json.loads(toy.encode(value)) == UUID_FREE
    assert everything(toy, flag=False).flag_or_default is False
    assert json.loads(toy.encode(everything(toy, flag=True))) == {**UUID_FREE, "flag": True}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**70), 123456789012345678901234567890, 0])
def test_integers_of_any_size(toy: Any, number: int) -> None:
    value = everything(toy, huge=number, number=number)
    assert (value.huge, value.number) == (number, number)
    assert json.loads(toy.encode(value)) == {**UUID_FREE, "huge": number, "number": number}


def test_whole_numbers_arrive_as_integers(toy: Any) -> None:
    value = toy.decode(
        "Everything", b'{"id":"a","needed-null":null,"list":["x"],"huge":1e2,"one":1.0,"map":{"k":-0.0}}'
    )
    assert [(type(item), item) for item in (value.huge, value.one, value.map["k"])] == [(int, 100), (int, 1), (int, 0)]


def test_tagged_union_is_one_of_its_structs(toy: Any) -> None:
    value = toy.decode("Shape", b'{"kind":"circle","radius":1.5,"color":"red"}')
    match value:
        case toy.Circle(radius=radius):
            assert (radius, value.kind, value.extra) == (1.5, "circle", {"color": "red"})
        case _:
            pytest.fail(f"{value!r}")
    assert toy.decode("Shape", b'{"kind":"square","kind":"circle","radius":1}') == toy.Circle(radius=1)
    for text in (b"{}", b'{"kind":"star"}', b'{"radius":1}', b'{"kind":"square","radius":1}', b'{"kind":null}'):
        with pytest.raises(toy.ValidationError):
            toy.decode("Shape", text)
    with pytest.raises(toy.ValidationError):
        toy.decode("Circle", b'{"radius":1}')


def test_unlisted_alternative_of_an_open_union_is_kept_as_it_came(toy: Any) -> None:
    value = toy.decode("Thing", b'{"type":"new","n":"not a number"}')
    assert value == toy.UnknownThing(raw={"type": "new", "n": "not a number"})
    assert json.loads(toy.encode(value)) == {"type": "new", "n": "not a number"}
    inside = everything(toy, thing={"type": "new", "z": 1}, shapes=[])
    assert inside.thing == toy.UnknownThing(raw={"type": "new", "z": 1})
    assert json.loads(toy.encode(inside)) == {**UUID_FREE, "thing": {"type": "new", "z": 1}, "shapes": []}


def test_untagged_union_is_boxed_and_chosen_by_content(toy: Any) -> None:
    cases: list[tuple[bytes, Any]] = [
        (b'{"uri":"u","text":"t"}', toy.Text(uri="u", text="t")),
        (b'{"uri":"u","blob":"b"}', toy.Blob(uri="u", blob="b")),
        (b'{"uri":"u"}', toy.Bare(uri="u")),
        (b'{"uri":"u","text":5}', toy.Bare(uri="u", extra={"text": 5})),
        (b'[{"uri":"u","text":"t"}]', [toy.Text(uri="u", text="t")]),
        (b"[1,2.0]", [1, 2]),
        (b"[]", []),
        (b'"s"', "s"),
    ]
    for text, want in cases:
        value = toy.decode("Contents", text)
        assert value == toy.Contents(want)
        assert json.loads(toy.encode(value)) == json.loads(text)


def test_recursive_alias_is_boxed_at_every_level(toy: Any) -> None:
    tree = toy.decode("Tree", b"[[],[[]]]")
    assert tree == toy.Tree([toy.Tree([]), toy.Tree([toy.Tree([])])])
    assert toy.encode(tree) == b"[[],[[]]]"


def test_enums_are_literals_with_their_values(toy: Any) -> None:
    assert toy.COLOR_VALUES == ("red", "green", 'blu"e', "None", "")
    assert everything(toy, color='blu"e', level="unheard of", mixed=1.0).level == "unheard of"
    with pytest.raises(toy.ValidationError):
        everything(toy, color="blue")
    with pytest.raises(toy.ValidationError):
        everything(toy, mixed=2)


def test_every_fault_is_listed_with_its_path(toy: Any) -> None:
    with pytest.raises(toy.ValidationError) as caught:
        everything(
            toy, id="", list=[], **{"a b": "x"}, shapes=[{"kind": "circle"}], closed={"next": {"y": 1}}, yes=False
        )
    assert {(issue.path, issue.message) for issue in caught.value.errors} == {
        ("$.id", "must have at least 1 characters"),
        ("$.id", 'must match the pattern "^[a-z\\\\d]+$"'),
        ("$.list", "must have at least 1 items"),
        ('$["a b"]', "must be an integer"),
        ("$.shapes[0]", 'must have the member "radius"'),
        ("$.closed.next.y", "must not be there"),
        ("$.yes", "must be true"),
    }
    assert caught.value.type_name == "Everything"


BAD_TEXTS = [
    b"",
    b"{",
    b"NaN",
    b'{"value":Infinity}',
    b'\xef\xbb\xbf{"value":1}',
    b'{"value":"\xff"}',
    b'{"value":"\\ud800"}',
    b'{"value":1} 2',
    '{"value":1}'.encode("utf-16"),
    b'{"value":1e400}',
    b'{"value":' + b"[" * 100_000,
]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=range(len(BAD_TEXTS)))
def test_what_is_not_json_is_refused(toy: Any, text: bytes) -> None:
    for name in ("EchoParams", "Everything", "Value"):
        with pytest.raises(toy.ValidationError) as caught:
            toy.decode(name, text)
        assert [issue.path for issue in caught.value.errors] == ["$"]


def test_deep_values_never_crash(toy: Any) -> None:
    for depth in (10, 100, 500, 5_000):
        for name, opening, closing in (
            ("Tree", b"[", b"]"),
            ("Closed", b'{"next":', b"}"),
            ("Value", b'{"a":[', b"]}"),
        ):
            core = b"{}" if name == "Closed" else b""
            text = opening * depth + core + closing * depth
            fault = ""
            try:
                assert toy.encode(toy.decode(name, text)) == text
            except toy.ValidationError as error:
                fault = error.errors[0].message
            assert fault in ("", "is nested too deeply"), f"{name} at {depth}"
            assert not fault or depth > 100


def test_nested_alternatives_take_no_more_than_their_share(toy: Any) -> None:
    text = b'{"a":[' * 60 + b"1" + b"]}" * 60
    assert toy.encode(toy.decode("Value", text)) == text


def test_unknown_name_is_a_key_error(toy: Any) -> None:
    with pytest.raises(KeyError):
        toy.decode("Nope", b"{}")


def test_wrong_value_cannot_be_written_as_its_type(toy: Any) -> None:
    for value in (toy.AddParams(a="x", b=1), toy.AddParams(a=1.5, b=1), object(), toy.Text(uri="u", text="t"), {1, 2}):
        with pytest.raises(toy.ValidationError):
            toy.CODEC.encode_as("AddParams", value)
    assert toy.CODEC.encode_as("AddParams", toy.AddParams(a=1, b=2)) == b'{"a":1,"b":2}'


def test_error_tables(toy: Any) -> None:
    tables = toy.errors.ERRORS
    assert tables[None] == {-32001: toy.NotThereError, -32002: toy.BusyError, 7: toy.TooBigError}
    assert tables["jobs"] == {-32001: toy.OtherBusyError}
    assert toy.METHODS["jobs/run"].families == ("jobs", None)
    error = toy.NotThereError(toy.NotThereData(name="x"))
    assert (error.code, error.message, str(error)) == (-32001, 'Not "there"', 'Not "there" (-32001)')
