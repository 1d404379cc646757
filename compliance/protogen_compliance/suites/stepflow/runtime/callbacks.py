"""Callbacks: what a worker asks of the runtime while it executes, and what the answers say."""

from __future__ import annotations

import json
import uuid

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.suites.stepflow.runtime.stage import Runtime, Stage

METHOD_NOT_FOUND, INVALID_PARAMS = -32601, -32602


def called(runtime: Runtime, *messages: Json) -> list[Json]:
    """What a runtime answered to callbacks; None where it did not."""
    outcome = runtime.run(runtime.stage.calling(*messages), 1)
    assert isinstance(outcome.result, list), f"an execution with callbacks gave {outcome.summary()}"
    return outcome.result


def put(data: Json, kind: Json = "data") -> dict[str, Json]:
    """A callback that stores a blob; without its type where MISSING."""
    params = {"data": data} if kind is MISSING else {"data": data, "blob_type": kind}
    return {"method": "blobs/put", "params": params}


def get(name: Json) -> dict[str, Json]:
    """A callback that reads a blob."""
    return {"method": "blobs/get", "params": {"blob_id": name}}


def submit(stage: Stage, flow: str, inputs: Json, **more: Json) -> dict[str, Json]:
    """A callback that starts a run."""
    key = {"subflowKey": str(uuid.uuid4())} if stage.dialect == "S2" else {}
    return {"method": "runs/submit", "params": {"flowId": flow, "inputs": inputs, **key, **more}}


def result(answer: Json) -> Json:
    """The result of an answer; MISSING where it has none."""
    return answer.get("result", MISSING) if isinstance(answer, dict) else MISSING


def code(answer: Json) -> Json:
    """The code of an answer that is an error; MISSING where it is none."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return error.get("code", MISSING) if isinstance(error, dict) else MISSING


def stored(runtime: Runtime, data: Json, kind: str = "data") -> str:
    """The id of a blob, as a setup."""
    (answer,) = called(runtime, put(data, kind))
    found = result(answer)
    assert isinstance(found, dict), f"blobs/put of {json.dumps(data)[:80]} gave {json.dumps(answer)[:200]}"
    assert isinstance(found.get("blob_id"), str), f"blobs/put gave {json.dumps(found)[:200]}"
    name: str = found["blob_id"]
    return name


def harmless(stage: Stage) -> dict[str, Json]:
    """A callback that every runtime of the dialect answers: a blob is stored, or a run is asked for that is not."""
    unique = str(uuid.uuid4())
    return put(unique) if stage.dialect == "S1" else {"method": "runs/get", "params": {"runId": unique}}
