"""A worker as its tests speak to it, and the runtime's side of callbacks."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Mapping

from protogen_compliance.dialects import Dialect
from protogen_compliance.peer.link import Answer, HttpLink, StdioLink, done, failed
from protogen_compliance.peer.rpc import MISSING, Json

INSTANCE = "stepflow-instance-id"


class Runtime:
    """The runtime's side of callbacks, as small as a worker can notice: blobs in memory, and runs that are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.blobs: dict[str, Json] = {}

    def __call__(self, request: Json) -> Json:
        """The response to a callback."""
        given = request.get("params")
        params: dict[str, Json] = given if isinstance(given, dict) else {}
        match request.get("method"):
            case "blobs/put":
                text = json.dumps([params.get("blob_type"), params.get("data")], sort_keys=True)
                name = hashlib.sha256(text.encode()).hexdigest()
                with self._lock:
                    self.blobs[name] = params.get("data")
                return done(request, {"blob_id": name})
            case "blobs/get":
                with self._lock:
                    found = self.blobs.get(str(params.get("blob_id")), MISSING)
                if found is MISSING:
                    return failed(request, -32008, "blob not found")
                return done(request, {"data": found, "blob_type": "data"})
            case _:
                return failed(request, -32601, "Method not found")


class Worker:
    """The worker under test, for one test: requests by method, executions by component."""

    _ids = itertools.count(1)

    def __init__(
        self, link: HttpLink | StdioLink, components: Mapping[str, str], dialect: Dialect | None = None
    ) -> None:
        self.link = link
        self.components = components
        self.dialect = dialect
        self._spellings = dialect.spellings if dialect is not None else {}

    @property
    def over_http(self) -> bool:
        """Whether it is reached over HTTP."""
        return isinstance(self.link, HttpLink)

    def send(self, body: bytes | Json, **more: Json) -> Answer:
        """Sends a message of any kind; JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.link.exchange(data, **more)

    def message(self, method: str, params: Json = MISSING, /, *, id: Json = MISSING, **members: Json) -> Json:  # noqa: A002 - the member's name
        """A request with an id that nobody has used, or with the given one, in the worker's spelling.

        Params are left out where MISSING.
        """
        number = f"kit-{next(self._ids)}" if id is MISSING else id
        spelling = self._spellings.get(method)
        made = {"jsonrpc": "2.0", "id": number, "method": spelling.method if spelling else method, **members}
        if params is not MISSING:
            made["params"] = spelling.params(params) if spelling else params
        return made

    def call(self, method: str, params: Json = MISSING, /, *, id: Json = MISSING, **more: Json) -> Answer:  # noqa: A002 - the member's name
        """Sends a well-formed request; its result comes in the protocol's spelling."""
        answer = self.send(self.message(method, params, id=id), **more)
        spelling = self._spellings.get(method)
        if spelling is not None and answer.result is not MISSING:
            answer.value = {**answer.value, "result": spelling.result(params, answer.result)}
        return answer

    def notify(self, method: str, params: Json, **more: Json) -> Answer:
        """Sends a notification."""
        return self.send({"jsonrpc": "2.0", "method": method, "params": params}, **more)

    def params(self, role: str, value: Json, **more: Json) -> Json:
        """Params of an execution of the component that plays a role."""
        return execution(self.components[role], value, **more)

    def execute(self, role: str, value: Json, **more: Json) -> Answer:
        """Executes the component that plays a role."""
        return self.call("components/execute", self.params(role, value), **more)


def execution(component: str, value: Json, **more: Json) -> Json:
    """Params of components/execute as a runtime sends them."""
    observability = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "run_id": "6f0a3f7e-6f0c-4a7e-9d3e-1f6a0e0d2b11",
        "flow_id": "a" * 64,
        "step_id": "step",
    }
    return {"component": component, "input": value, "attempt": 1, "observability": observability, **more}
