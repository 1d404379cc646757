"""Schemas of whole messages and schemas with methods by side: who sends what, and what answers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from readings import DOCUMENTS, Read, document, method, name_of, protocol_of, reading_of, record

from protogen import ir


def _table(protocol: ir.Protocol) -> list[tuple[str, str, str, str | None, str | None]]:
    arrows = {False: "→", True: "↔"}
    return [
        (m.name, m.kind, f"{m.sender}{arrows[m.mutual]}{m.receiver}", name_of(m.params), name_of(m.result))
        for m in protocol.methods
    ]


def test_unions_say_who_sends_and_answers_are_paired_by_rule() -> None:
    assert _table(protocol_of("messages.json")) == [
        ("rooms/open", "request", "client→server", "OpenRequestParams", "OpenResultResponseResult"),
        ("ping", "request", "client↔server", None, "EmptyResult"),
        ("sample", "request", "server→client", "SampleRequestParams", "SampleResult"),
        ("notifications/cancelled", "notification", "client↔server", "CancelledNotificationParams", None),
        ("notifications/closed", "notification", "server→client", "ClosedNotificationParams", None),
    ]


def test_a_message_and_its_method_share_the_type_of_the_params() -> None:
    fields = {field.wire: field.type for field in record(protocol_of("messages.json"), "OpenRequest").fields}
    assert fields["params"] == ir.NamedType(name="OpenRequestParams")


def test_an_error_in_a_response_has_code_and_data() -> None:
    (error,) = protocol_of("messages.json").errors
    assert (error.name, error.code, error.message, error.doc) == ("FullError", -32042, "Full", "No room is free.")
    assert name_of(error.data) == "FullErrorData"


def test_mutual_methods_are_served_and_sent_by_both() -> None:
    protocol = protocol_of("messages.json")
    assert [m.name for m in ir.served(protocol, "client")] == [
        "ping",
        "sample",
        "notifications/cancelled",
        "notifications/closed",
    ]
    ping = ir.sent(protocol, "server")[0]
    assert (ping.name, ping.sender, ping.receiver) == ("ping", "server", "client")


def test_a_file_of_methods_says_what_the_schema_leaves_out() -> None:
    protocol = protocol_of("envelopes.json")
    assert (protocol.name, protocol.version) == ("jobs", "0.3")
    assert _table(protocol) == [
        ("jobs/get", "request", "client→server", "JobId", "Job"),
        ("jobs/stream", "request", "client→server", "JobId", "StreamJobSuccessResponseResult"),
        ("jobs/rejoin", "request", "client→server", "JobId", "StreamJobSuccessResponseResult"),
    ]
    stream = method(protocol, "jobs/stream")
    assert (name_of(stream.events), stream.event_framing) == ("StreamJobSuccessResponseResult", "results")
    assert [m.idempotent for m in protocol.methods] == [True, False, False]
    assert [source.path for source in protocol.sources] == ["envelopes.json", "envelopes.methods.json"]


def test_errors_are_those_that_the_response_lists() -> None:
    protocol = protocol_of("envelopes.json")
    assert [(e.name, e.code, e.message) for e in protocol.errors] == [
        ("JobMissingError", -32001, "Job not found"),
        ("JobDoneError", -32002, "Job is done"),
    ]
    assert [m.errors for m in protocol.methods] == [("JobMissingError", "JobDoneError")] * 2 + [()]


def test_messages_may_be_spelled_out_in_the_unions() -> None:
    protocol = protocol_of("spelled-out.json")
    assert _table(protocol) == [
        ("turn/start", "request", "client→server", "TurnStartParams", "TurnStartResponse"),
        ("account/read", "request", "client→server", None, "AccountReadResponse"),
        ("initialized", "notification", "client→server", None, None),
        ("item/approve", "request", "server→client", "ApproveParams", "ApproveResponse"),
        ("turn/completed", "notification", "server→client", "TurnCompletedNotification", None),
    ]


def test_sides_serve_the_methods_that_are_marked_with_them() -> None:
    protocol = protocol_of("sides-schema.json")
    assert (protocol.title, protocol.version) == ("Desk", "3")
    assert _table(protocol) == [
        ("desk/open", "request", "client→agent", "OpenRequest", "OpenResponse"),
        ("file/write", "request", "agent→client", "WriteRequest", "WriteResponse"),
        ("desk/stop", "notification", "client→agent", "StopNotification", None),
        ("desk/seen", "notification", "agent→client", "SeenNotification", None),
        ("$/cancel", "notification", "client↔agent", "CancelRequestNotification", None),
    ]


def _request(name: str) -> dict[str, Any]:
    return {"type": "object", "required": ["id", "method"], "properties": {"id": {}, "method": {"const": name}}}


def test_a_union_of_one_message_is_that_message(read: Read) -> None:
    def notification(method: str) -> dict[str, Any]:
        return {"type": "object", "properties": {"method": {"const": method}}, "required": ["method"]}

    tree = {
        "$defs": {
            "CancelledNotification": notification("cancelled"),
            "ClientNotification": notification("cancelled"),
            "DoneNotification": notification("done"),
            "ServerNotification": {
                "anyOf": [{"$ref": "#/$defs/CancelledNotification"}, {"$ref": "#/$defs/DoneNotification"}]
            },
        }
    }
    reading, told = read(tree)
    assert reading is not None
    assert told == []
    assert [(m.name, m.sender, m.mutual) for m in reading.protocol.methods] == [
        ("cancelled", "server", True),
        ("done", "server", False),
    ]


def test_a_request_without_an_answer_is_told_with_the_way_out(read: Read) -> None:
    reading, problems = read({"$defs": {"GoRequest": _request("go")}})
    assert reading is not None
    said = (
        'acme.json:3:3 warning PG133: no definition is called after the request "GoRequest": any JSON value is taken '
        'for its result; say it in acme.methods.json: {"x-methods": {"go": {"result": "…"}}}'
    )
    assert problems == [said]
    beside = {"acme.methods.json": {"x-methods": {"go": {"result": "Gone"}}}}
    reading, problems = read({"$defs": {"GoRequest": _request("go"), "Gone": {"type": "string"}}}, beside)
    assert problems == []
    assert reading is not None
    assert name_of(method(reading.protocol, "go").result) == "Gone"


def test_two_messages_of_one_method_are_told(read: Read) -> None:
    first, second = _request("go"), {**_request("go"), "required": ["id"]}
    second["properties"] = {**second["properties"], "params": {"type": "object"}}
    tree = {"$defs": {"GoRequest": first, "WalkRequest": second, "EmptyResult": {"type": "object"}}}
    _, problems = read(tree)
    assert [problem.partition(";")[0] for problem in problems] == [
        'acme.json:16:3 warning PG132: "GoRequest" and "WalkRequest" are both messages of "go"'
    ]


def test_a_schema_without_methods_gets_them_from_the_file(read: Read) -> None:
    tree = {"$defs": {"Params": {"type": "object"}, "Result": {"type": "string"}}}
    added = {"from": "server", "to": "client", "params": "Params", "result": "Result", "summary": "Adds."}
    reading, problems = read(tree, {"acme.methods.json": {"x-methods": {"add": added}}})
    assert problems == []
    assert reading is not None
    assert _table(reading.protocol) == [("add", "request", "server→client", "Params", "Result")]


FAULTS = [
    ([], "acme.methods.json:1:1 error PG134: a file of methods is an object"),
    ({"x-metods": {}}, 'error PG134: "x-metods" is no part of a file of methods; did you mean "x-methods"?'),
    ({"x-methods": []}, 'error PG134: "x-methods" must be an object'),
    ({"x-methods": {"pin": None}}, 'error PG134: there is no method "pin" to take away; did you mean "ping"?'),
    ({"x-methods": {"ping": 3}}, 'error PG134: method "ping" must be an object or null'),
    ({"x-methods": {"ping": {"resul": "A"}}}, 'method "ping" has no member "resul"; did you mean "result"?'),
    (
        {"x-methods": {"ping": {"result": "EmtyResult"}}},
        'no definition is called "EmtyResult"; did you mean "EmptyResult"',
    ),
    ({"x-methods": {"ping": {"result": "#/$defs/Emty"}}}, "error PG102"),
    ({"x-methods": {"ping": {"errors": ["Full"]}}}, 'PG111: method "ping": "Full" is no error of "x-errors"'),
]


@pytest.mark.parametrize(("content", "said"), FAULTS)
def test_faults_of_a_file_of_methods_stand_at_their_place(read: Read, content: Any, said: str) -> None:
    reading, problems = read(document("messages.json"), {"acme.methods.json": content})
    assert reading is None
    found = [problem for problem in problems if " error " in problem]
    assert said in found[0]
    assert found[0].startswith("acme.methods.json:")


def test_a_list_and_marks_that_differ_are_told(read: Read) -> None:
    tree = document("sides-schema.json")
    lists = {"agentMethods": {"a": "desk/open", "b": "desk/opn"}}
    _, problems = read(tree, {"acme.meta.json": lists})
    assert problems[0].startswith(
        'acme.meta.json:4:3 warning PG135: no definition is marked with the method "desk/opn"'
    )
    assert sum("is not in the list of methods" in problem for problem in problems) == 4


def test_methods_of_one_side_without_list_have_a_client(read: Read) -> None:
    marks = {"type": "object", "x-method": "a", "x-side": "agent"}
    tree = {"$defs": {"A": marks, "AResponse": marks}}
    reading, problems = read(tree)
    assert problems == []
    assert reading is not None
    assert _table(reading.protocol) == [("a", "request", "client→agent", "A", "AResponse")]


def test_a_file_of_methods_is_named_by_the_caller(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    file.write_text(json.dumps({"x-methods": {"go": {"params": "Go"}}, "$defs": {"Go": {"type": "object"}}}), "utf-8")
    reading = reading_of(DOCUMENTS / "messages.json", methods=file, kind="schema")
    assert [(m.name, m.kind, name_of(m.params)) for m in reading.protocol.methods] == [("go", "notification", "Go")]
