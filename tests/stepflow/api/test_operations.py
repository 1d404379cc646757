"""The HTTP API over a runtime that does what a test says: each operation in both dialects, against its document."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from api_rig import DIALECTS, FLOW, REFERENCE, FakeRuns, run, serving

from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.stepflow.api import events
from protogen_runtime.stepflow.api.document import document
from protogen_runtime.stepflow.api.operations import operations
from protogen_runtime.stepflow.plugins.contract import DialectName
from protogen_runtime.stepflow.runs.contract import Busy, Damaged, Invalid, TooLarge, Unavailable

NOBODY = "00000000-0000-4000-8000-000000000000"
BOTH = pytest.mark.parametrize("dialect", DIALECTS)


@BOTH
def test_a_flow_is_stored_shown_and_deleted(dialect: DialectName) -> None:
    async def main() -> None:
        async with serving(FakeRuns(), dialect) as client:
            flow_id = await client.store()
            shown = (await client.ask("GET", f"/flows/{flow_id}")).json()
            assert (shown["flow"], shown["flowId"]) == (FLOW, flow_id)
            assert shown["allExamples"] == [{"name": "plain", "input": {"name": "Ann"}}]
            told = (await client.ask("GET", f"/flows/{flow_id}/variables")).json()
            assert told["envVars"] == {"who": "WHO"}
            assert (sorted(told["schema"]["properties"]), told["schema"]["required"]) == (["n", "who"], ["who"])
            assert (await client.ask("DELETE", f"/flows/{flow_id}")).status_code == 204
            for path in (f"/flows/{flow_id}", f"/flows/{flow_id}/variables"):
                gone = await client.ask("GET", path)
                assert (gone.status_code, gone.json()) == (404, {"code": 404, "message": f"Flow not found: {flow_id}"})
            assert (await client.ask("DELETE", f"/flows/{flow_id}")).status_code == 404

    run(main)


def test_all_problems_of_a_flow_come_in_one_answer() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.9") as client:
            flow = {"steps": [{"id": "a", "component": "/x", "input": {"$step": "b"}}, {"id": "a", "component": "x"}]}
            answer = (await client.ask("POST", "/flows", json={"flow": flow})).json()
            kinds = {it["kind"] for it in answer["diagnostics"]["diagnostics"]}
            assert {"undefinedStepReference", "duplicateStepId", "invalidComponent", "missingFlowName"} <= kinds
            assert (answer["stored"], answer["diagnostics"]["numFatal"], len(answer["flowId"])) == (False, 2, 64)
            refused = await client.ask("POST", "/flows", json={"flow": {"steps": [{"component": 1}, {"id": 2}]}})
            assert refused.status_code == 422
            reasons = [entry["error"] for entry in refused.json()["stack"]]
            assert len(reasons) == 4
            assert reasons[0] == '$.steps[0]: "id": is missing; give the step an id'

    run(main)


def test_a_dry_run_stores_nothing() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.9") as client:
            answer = (await client.ask("POST", "/flows", json={"flow": FLOW, "dryRun": True})).json()
            assert answer["stored"] is False
            assert (await client.ask("GET", f"/flows/{answer['flowId']}")).status_code == 404

    run(main)


def test_in_0_9_a_new_run_is_waited_for() -> None:
    async def main() -> None:
        runs = FakeRuns()
        async with serving(runs, "0.9") as client:
            flow_id = await client.store()
            one = await client.run(flow_id, {"a": 1})
            assert {**one, "runId": ""} == {
                "runId": "",
                "itemCount": 1,
                "result": {"outcome": "success", "result": {"seen": {"a": 1}}},
                "status": "completed",
            }
            two = await client.run(flow_id, 1, "bad")
            assert {**two, "runId": ""} == {"runId": "", "itemCount": 2, "status": "failed"}
            runs.holds = True
            left = await client.run(flow_id, 1, wait=False)
            assert {**left, "runId": ""} == {"runId": "", "itemCount": 1, "status": "running"}
            late = await client.run(flow_id, 1, timeoutSecs=0)
            assert late["status"] == "running"

    run(main)


def test_in_0_11_a_new_run_is_answered_at_once() -> None:
    async def main() -> None:
        runs = FakeRuns()
        async with serving(runs, "0.11") as client:
            flow_id = await client.store()
            answer = await client.ask("POST", "/runs", json={"flowId": flow_id, "input": [1]})
            assert answer.status_code == 202
            assert "results" not in answer.json()
            assert answer.json()["createdAtSeqno"] == 1
            waited = await client.ask("POST", "/runs", json={"flowId": flow_id, "input": [1, "bad"], "wait": True})
            assert waited.status_code == 200
            told = waited.json()
            assert (told["status"], told["items"]["failed"]) == ("failed", 1)
            assert [it["result"]["outcome"] for it in told["results"]] == ["success", "failed"]
            runs.holds = True
            late = await client.run(flow_id, 1, wait=True, timeoutSecs=0)
            assert (late["status"], "results" in late) == ("running", False)
            # Under way they are this runtime's; what has ended is nobody's, and tells the id of its last event.
            shown = [(await client.ask("GET", f"/runs/{it['runId']}")).json() for it in (late, told)]
            assert [("orchestratorId" in it, it.get("finishedAtSeqno")) for it in shown] == [(True, None), (False, 3)]
            listed = (await client.ask("GET", "/runs")).json()["runs"]
            mine = {late["orchestratorId"], shown[0]["orchestratorId"], listed[0]["orchestratorId"]}
            assert len(mine) == 1
            assert [it.get("orchestratorId") for it in listed[1:]] == [None, None]

    run(main)


@BOTH
def test_a_run_is_shown_with_all_that_belongs_to_it(dialect: DialectName) -> None:
    async def main() -> None:
        runs = FakeRuns()
        async with serving(runs, dialect) as client:
            flow_id = await client.store()
            made = await client.run(flow_id, 1, "bad", variables={"who": "Ann"}, overrides={"greet": {"value": {}}})
            path = f"/runs/{made['runId']}"
            shown = (await client.ask("GET", path)).json()
            assert (shown["inputs"], shown["variables"]) == ([1, "bad"], {"who": "Ann"})
            assert shown["overrides"] == {"greet": {"value": {}}}
            assert ("itemDetails" in shown) == (dialect == "0.11")
            if dialect == "0.11":
                assert shown["itemDetails"][1]["input"] == "bad"
                assert shown["itemDetails"][1]["steps"] == [{"stepId": "greet", "status": "failed"}]
            items = (await client.ask("GET", f"{path}/items?limit=1&offset=1")).json()
            assert (items["itemCount"], [it["itemIndex"] for it in items["items"]]) == (2, [1])
            assert items["items"][0]["result"]["error"] == {"code": 500, "message": "no", "data": {"why": "bad"}}
            last = (await client.ask("GET", f"{path}/items?resultOrder=by_completion")).json()
            assert [it["itemIndex"] for it in last["items"]] == [1, 0]
            steps = (await client.ask("GET", f"{path}/steps?itemIndex=1")).json()
            assert steps["steps"]["greet"]["status"] == "failed"
            assert (await client.ask("GET", f"{path}/steps?itemIndex=2")).status_code == 404
            assert (await client.ask("GET", f"{path}/flow")).json() == {"flow": FLOW, "flowId": flow_id}
            listed = (await client.ask("GET", "/runs")).json()["runs"]
            assert [it["runId"] for it in listed] == [made["runId"]]

    run(main)


def test_pages_of_allowed_origins_may_name_files_and_follow_events() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.11", access=Access(origins=("http://page.example",))) as client:
            page = {"origin": "http://page.example"}
            allowed = await client.http.options(f"{client.base}/blobs", headers=page)
            taken = set(allowed.headers["access-control-allow-headers"].split(", "))
            assert taken >= {"content-type", "x-blob-filename", "last-event-id", "if-none-match"}
            answer = await client.http.get(f"{client.base}/health", headers=page)
            assert answer.headers["access-control-expose-headers"] == "x-blob-filename, etag"

    run(main)


@BOTH
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_items_are_read_in_pages_and_told_as_one(dialect: DialectName, count: int) -> None:
    async def main() -> None:
        runs = FakeRuns()
        runs.page = 2
        async with serving(runs, dialect) as client:
            made = await client.run(await client.store(), *range(count), wait=True)
            path = f"/runs/{made['runId']}/items"
            for asked, indices in (("", range(count)), ("?offset=1&limit=3", range(count)[1:4]), ("?limit=0", ())):
                runs.pages = 0
                told = (await client.ask("GET", path + asked)).json()
                assert told["itemCount"] == count
                assert [it["itemIndex"] for it in told["items"]] == list(indices)
                assert runs.pages == -(-len(indices) // runs.page)
            if dialect == "0.11":
                assert [it["itemIndex"] for it in made["results"]] == list(range(count))

    run(main)


@BOTH
def test_a_run_is_waited_for_cancelled_and_deleted(dialect: DialectName) -> None:
    async def main() -> None:
        runs = FakeRuns()
        runs.holds = True
        async with serving(runs, dialect) as client:
            flow_id = await client.store()
            path = f"/runs/{(await client.run(flow_id, 1, wait=False))['runId']}"
            assert (await client.ask("GET", f"{path}?wait=true&timeoutSecs=0")).json()["status"] == "running"
            assert (await client.ask("DELETE", path)).status_code == 409
            assert (await client.ask("DELETE", f"/flows/{flow_id}")).status_code == 409
            cancelled = await client.ask("POST", f"{path}/cancel")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
            assert (await client.ask("GET", f"{path}?wait=true")).json()["status"] == "cancelled"
            assert (await client.ask("POST", f"{path}/cancel")).status_code == 409
            assert (await client.ask("DELETE", path)).status_code == 204
            assert (await client.ask("GET", path)).status_code == 404

    run(main)


def test_what_is_asked_of_a_list_reaches_the_runtime() -> None:
    async def main() -> None:
        runs = FakeRuns()
        async with serving(runs, "0.11") as client:
            query = f"status=failed&flowName=n%20m&rootRunId={NOBODY}&parentRunId={NOBODY}&rootsOnly=true&maxDepth=2"
            await client.ask("GET", f"/runs?{query}&limit=3&offset=4")
            (which,) = runs.filters
            assert (which.status, which.flow_name, which.root_run_id, which.parent_run_id) == (
                *("failed", "n m"),
                *(NOBODY, NOBODY),
            )
            assert (which.roots_only, which.max_depth, which.limit, which.offset) == (True, 2, 3, 4)
            assert (await client.ask("GET", "/runs?status=paused")).json() == {"runs": []}
            assert len(runs.filters) == 1

    run(main)


JSON = {"content-type": "application/json"}
REFUSED: list[tuple[str, str, bytes | None, dict[str, str], int, str]] = [
    ("POST", "/flows", b'{"flow":', JSON, 400, "body: no JSON: "),
    ("POST", "/flows", b"[]", JSON, 422, "body: expected an object, got an array"),
    ("POST", "/flows", b"{}", JSON, 422, "body: Object missing required field `flow`"),
    (
        "POST",
        "/flows",
        b'{"flow":{},"dryrun":true}',
        JSON,
        422,
        "body: there is no member 'dryrun'; did you mean dryRun?",
    ),
    ("POST", "/flows", b"{}", {"content-type": "text/plain"}, 415, "content-type: expected application/json in UTF-8"),
    ("POST", "/flows", b"{}", {}, 415, "content-type: expected application/json in UTF-8"),
    ("POST", "/flows", b"{}", {"content-type": "application/json; charset=latin-1"}, 415, "content-type: expected"),
    ("POST", "/flows", b"{}", {**JSON, "content-encoding": "gzip"}, 415, "compressed bodies are not taken"),
    ("POST", "/flows", b"[" * 5000, JSON, 400, "body: no JSON: "),
    ("POST", "/runs", b'{"flowId":"a","input":{}}', JSON, 422, "body: Expected `array`, got `object` - at `$.input`"),
    ("POST", "/runs", b'{"flowId":"a","input":[1],"maxConcurrency":0}', JSON, 422, "body: Expected `int` >= 1"),
    ("POST", "/runs", b'{"flowId":"a","input":[1],"wait":"yes"}', JSON, 422, "body: Expected `bool | null`, got `str`"),
    ("POST", "/runs", b'{"flowId":"a","input":[1]}', JSON, 404, "Flow not found: a"),
    ("POST", "/blobs", b"x", {"content-type": "text/csv"}, 415, "content-type: expected application/json or"),
    ("POST", "/blobs", b"{}", JSON, 422, "body: Object missing required field `data`"),
    ("POST", "/blobs", b'{"data":1,"blobType":"Json"}', JSON, 422, "body: Invalid enum value 'Json'"),
    ("POST", "/blobs", b'{"data":1,"blobType":"flow"}', JSON, 400, "the blob is no flow"),
    ("GET", "/runs?limit=-1", None, {}, 400, "query: Expected `int` >= 0 - at `$.limit`"),
    ("GET", "/runs?limit=1e3", None, {}, 400, "query: limit: expected a whole number, got '1e3'"),
    ("GET", "/runs?limit=1&limit=2", None, {}, 400, "query: limit is given twice; give it once"),
    ("GET", "/runs?status=done", None, {}, 400, "query: Invalid enum value 'done' - at `$.status`"),
    ("GET", "/runs?flowname=a", None, {}, 400, "query: there is no member 'flowname'; did you mean flowName?"),
    ("GET", "/runs?rootRunId=a", None, {}, 400, "query: rootRunId: expected a UUID, got 'a'"),
    ("GET", "/runs?rootsOnly=1", None, {}, 400, "query: rootsOnly: expected true or false, got '1'"),
    ("GET", "/runs?flowName=%ff", None, {}, 400, "query: expected NAME=VALUE&…, percent-encoded UTF-8"),
    ("GET", "/runs?limit", None, {}, 400, "query: expected NAME=VALUE&…, percent-encoded UTF-8"),
    ("GET", "/components?includeSchemas=maybe", None, {}, 400, "query: includeSchemas: expected true or false"),
    ("GET", "/runs/zz", None, {}, 400, "run_id: expected a UUID, got 'zz'"),
    ("GET", f"/runs/{NOBODY}?wait=true", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", f"/runs/{NOBODY}/items", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", f"/runs/{NOBODY}/steps", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", f"/runs/{NOBODY}/flow", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", f"/runs/{NOBODY}/events", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", f"/runs/{NOBODY}/events", None, {"last-event-id": "x"}, 400, "last-event-id: expected the id of an event"),
    ("POST", f"/runs/{NOBODY}/cancel", None, {}, 404, f"Run not found: {NOBODY}"),
    ("DELETE", f"/runs/{NOBODY}", None, {}, 404, f"Run not found: {NOBODY}"),
    ("GET", "/blobs/nope", None, {}, 404, "Blob not found: nope"),
    ("GET", "/flows/%ff", None, {}, 400, "the path is no UTF-8 text: percent-encode it anew"),
    ("GET", "/health?error=bad_request", None, {}, 400, "Bad request triggered for testing"),
    ("GET", "/health?error=not_found", None, {}, 404, "Run not found, for testing"),
    ("GET", "/health?error=internal", None, {}, 500, "Internal error triggered for testing"),
    ("GET", "/health?error=what", None, {}, 500, "Internal error triggered for testing"),
]


@BOTH
def test_a_bad_request_is_one_clear_error(dialect: DialectName) -> None:
    async def main() -> None:
        async with serving(FakeRuns(), dialect) as client:
            for method, path, body, headers, status, said in REFUSED:
                answer = await client.ask(method, path, content=body, headers=headers)
                told = answer.json()
                assert (answer.status_code, told["code"]) == (status, status), f"{method} {path}: {answer.text}"
                assert told["message"].startswith(said), f"{method} {path}: {answer.text}"
            stack = (await client.ask("GET", "/health?error=stack")).json()
            assert [entry["error"] for entry in stack["stack"]][1:] == [
                "its database cannot be reached",
                "the connection was refused",
            ]

    run(main)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (Busy("too many runs wait", 2.4), 503, "too many runs wait"),
        (Unavailable("the disk is full"), 503, "the disk is full"),
        (TooLarge("at most 5 items"), 413, "at most 5 items"),
        (Invalid("no such step"), 400, "no such step"),
    ],
)
def test_what_the_runtime_refuses_has_its_status(raised: Exception, status: int, said: str) -> None:
    async def main() -> None:
        runs = FakeRuns()
        async with serving(runs, "0.9") as client:
            flow_id = await client.store()
            runs.raises = raised
            answer = await client.ask("POST", "/runs", json={"flowId": flow_id, "input": [1]})
            assert (answer.status_code, answer.json()) == (status, {"code": status, "message": said})
            if isinstance(raised, Busy):
                assert answer.headers["retry-after"] == "2"

    run(main)


def test_a_defect_is_reported_and_clients_learn_nothing_of_it() -> None:
    async def main() -> None:
        runs = FakeRuns()
        told: list[tuple[str, BaseException]] = []

        def report(name: str, _: str, error: BaseException) -> None:
            told.append((name, error))

        async with serving(runs, "0.9", report=report) as client:
            runs.raises = ValueError("secret")
            answer = await client.http.get(f"{client.base}/components")
            assert (answer.status_code, answer.json()) == (500, {"code": 500, "message": "internal error"})
            assert told == [("GET /api/v1/components", runs.raises)]
            runs.raises = Damaged("Blob x has other bytes than were put")
            answer = await client.http.get(f"{client.base}/components")
            assert (answer.status_code, len(told)) == (500, 1)

    run(main)


def test_paths_and_methods_that_are_not_there_are_errors_of_the_api() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.9") as client:
            answer = await client.http.get(f"{client.base}/nope")
            assert (answer.status_code, answer.json()["code"]) == (404, 404)
            answer = await client.http.put(f"{client.base}/runs")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST, GET, HEAD")

    run(main)


def test_bodies_are_bounded() -> None:
    async def main() -> None:
        limits = Limits(max_body_bytes=1000, linger_seconds=0.1)
        async with serving(FakeRuns(), "0.9", limits=limits, max_blob_bytes=5000) as client:
            answer = await client.http.post(f"{client.base}/runs", content=b"x" * 1001, headers=JSON)
            assert answer.status_code == 413
            binary = {"content-type": "application/octet-stream"}
            kept = await client.ask("POST", "/blobs", content=b"x" * 5000, headers=binary)
            assert kept.status_code == 200
            answer = await client.http.post(f"{client.base}/blobs", content=b"x" * 5001, headers=binary)
            assert answer.status_code == 413

    run(main)


# --- blobs ------------------------------------------------------------------------------------------------


def test_a_value_keeps_its_digits() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.9") as client:
            text = '{"data":{"x":1e2,"big":18446744073709551615,"s":"é\\u0001"}}'.encode()
            kept = await client.ask("POST", "/blobs", content=text, headers=JSON)
            blob_id = kept.json()["blobId"]
            got = await client.ask("GET", f"/blobs/{blob_id}")
            assert b'"data":{"x":100.0,"big":18446744073709551615,' in got.content
            assert (got.json()["blobType"], got.json()["blobId"]) == ("data", blob_id)
            raw = await client.http.get(
                f"{client.base}/blobs/{blob_id}", headers={"accept": "application/octet-stream"}
            )
            assert raw.content.startswith(b'{"x":100.0')
            assert raw.headers["content-type"] == "application/octet-stream"
            null = await client.ask("POST", "/blobs", json={"data": None, "filename": "f"})
            assert null.json()["filename"] == "f"
            known = await client.ask("GET", f"/blobs/{blob_id}", headers={"if-none-match": got.headers["etag"]})
            assert known.status_code == 304

    run(main)


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("*/*", 200, "application/octet-stream"),
        ("application/octet-stream", 200, "application/octet-stream"),
        ("application/json, */*;q=0.1", 200, "application/octet-stream"),
        ("application/json", 406, "application/json"),
        ("image/png", 200, "application/octet-stream"),
    ],
)
def test_bytes_come_back_as_they_went(accept: str, status: int, kind: str) -> None:
    async def main() -> None:
        data = bytes(range(256)) * 100
        async with serving(FakeRuns(), "0.11") as client:
            headers = {"content-type": "application/octet-stream", "x-blob-filename": "a b.bin"}
            kept = await client.http.post(f"{client.base}/blobs", content=data, headers=headers)
            assert kept.json()["filename"] == "a b.bin"
            got = await client.http.get(f"{client.base}/blobs/{kept.json()['blobId']}", headers={"accept": accept})
            assert (got.status_code, got.headers["content-type"]) == (status, kind)
            if status == 200:
                assert got.content == data
                assert (got.headers["content-length"], got.headers["x-blob-filename"]) == (str(len(data)), "a%20b.bin")

    run(main)


# --- events -----------------------------------------------------------------------------------------------


def test_a_run_that_is_over_is_told_from_the_start_or_behind_a_place() -> None:
    async def main() -> None:
        async with serving(FakeRuns(), "0.9") as client:
            path = f"/runs/{(await client.run(await client.store(), 1))['runId']}/events"
            told = await client.ask("GET", path)
            retry, *blocks = told.text.removesuffix("\n\n").split("\n\n")
            assert retry == "retry: 1000"
            assert [block.split("\n")[:2] for block in blocks] == [
                ["id: 1", "event: run_started"],
                ["id: 2", "event: step_started"],
                ["id: 3", "event: run_completed"],
            ]
            assert json.loads(blocks[1].split("\n")[2].removeprefix("data: "))["stepId"] == "greet"
            rest = await client.ask("GET", path, headers={"last-event-id": "2"})
            assert rest.text.count("event:") == 1
            assert (await client.ask("GET", f"{path}?after=2")).text == rest.text
            assert (await client.ask("GET", f"{path}?after=3")).status_code == 204

    run(main)


def test_a_quiet_stream_is_kept_open_and_ends_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.05)

    async def main() -> None:
        runs = FakeRuns()
        runs.holds = True
        seen: list[str] = []
        kept = trio.Event()
        ended = trio.Event()

        async def follow(url: str, client: Any) -> None:
            async with client.http.stream("GET", url) as stream:
                async for line in stream.aiter_lines():
                    seen.append(line)
                    if line.startswith(":"):
                        kept.set()
            ended.set()

        async with trio.open_nursery() as nursery, serving(runs, "0.9") as client:
            made = await client.run(await client.store(), 1, wait=False)
            nursery.start_soon(follow, f"{client.base}/runs/{made['runId']}/events", client)
            await kept.wait()
            client.shutdown()
            await ended.wait()
        assert seen[:2] == ["retry: 1000", ""]
        assert "event: step_started" in seen

    run(main)


def test_whoever_waits_for_a_run_is_told_when_the_server_stops() -> None:
    async def main() -> None:
        runs = FakeRuns()
        runs.holds = True
        async with serving(runs, "0.9") as client, trio.open_nursery() as nursery:
            flow_id = await client.store()
            answers: list[Any] = []

            async def wait() -> None:
                answers.append(await client.ask("POST", "/runs", json={"flowId": flow_id, "input": [1]}))

            nursery.start_soon(wait)
            while not runs.runs:
                await trio.lowlevel.checkpoint()
            client.shutdown()
        (answer,) = answers
        assert answer.status_code == 503
        assert next(iter(runs.runs)) in answer.json()["message"]

    run(main)


# --- the document -----------------------------------------------------------------------------------------


@BOTH
def test_the_document_has_every_operation_and_status(dialect: DialectName) -> None:
    told = document(dialect, "1")
    described = {
        (method.upper(), path): set(map(int, operation["responses"]))
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }
    assert described == {(it.method, it.path): set(it.answers) for it in operations(dialect)}
    refs = json.dumps(told)
    for name in told["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in refs or name == "ErrorAnswer"
    used = {part.partition('"')[0] for part in refs.split("#/components/schemas/")[1:]}
    assert used <= set(told["components"]["schemas"])


@pytest.mark.skipif(not REFERENCE.exists(), reason="the published document stands beside the checkout, or not")
@BOTH
def test_the_document_has_what_the_published_one_has(dialect: DialectName) -> None:
    published, ours = json.loads(REFERENCE.read_text()), document(dialect, "1")
    for path, methods in published["paths"].items():
        for method, operation in methods.items():
            told = ours["paths"][path][method]
            assert told["operationId"] == operation["operationId"]
            names = {it["name"] for it in told["parameters"]}
            assert {it["name"] for it in operation.get("parameters", [])} <= names, path
            statuses = set(operation["responses"]) - {"500"}
            created = {"202"} if (method, path) == ("post", "/runs") else set()
            assert statuses <= set(told["responses"]) | created, f"{method} {path}"


@BOTH
def test_the_page_needs_nothing_from_elsewhere(dialect: DialectName) -> None:
    async def main() -> None:
        async with serving(FakeRuns(), dialect) as client:
            root = client.base.removesuffix("/api/v1")
            for path in ("/api/v1/docs", "/swagger-ui", "/swagger-ui/"):
                page = await client.http.get(root + path)
                assert page.headers["content-type"] == "text/html; charset=utf-8"
            for operation in operations(dialect):
                assert f'id="{operation.name}"' in page.text
            assert "<script" not in page.text
            assert "http://" not in page.text
            assert "https://" not in page.text

    run(main)
