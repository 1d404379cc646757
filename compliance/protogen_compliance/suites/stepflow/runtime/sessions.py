"""The kit's worker with sessions: its callbacks come on a stream of events, which the runtime opens."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable

from protogen_compliance.peer.rpc import Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.suites.stepflow.runtime.stage import Stage

SESSION_SECONDS = 3600.0


class SessionStage(Stage):
    """A stage whose callbacks are events of a session; `endpoint` is where the session says that messages go."""

    def __init__(self, endpoint: Callable[[str], str] | None) -> None:
        super().__init__(answers={"GET": self._open})
        self.endpoint = "" if endpoint is None else endpoint(self.server.url)
        self.opened = threading.Event()
        self._pieces: list[Callable[[bytes], None]] = []

    @property
    def plugin(self) -> Json:
        """What a configuration says of it."""
        return {"type": "stepflow", "transport": "session", "url": self.server.url.rstrip("/")}

    def _open(self, asked: Asked) -> None:
        piece = asked.stream()
        if self.endpoint:
            piece(f"event: endpoint\ndata: {json.dumps({'endpoint': self.endpoint})}\n\n".encode())
        self._pieces.append(piece)
        self.opened.set()
        self.server.wait(SESSION_SECONDS)

    def is_open(self) -> bool:
        """Whether the runtime still reads the session that it opened last."""
        try:
            for _ in range(2):  # the first piece after the end goes out, and the other side objects to it
                self._pieces[-1](b"event: keepalive\ndata: {}\n\n")
                self.server.wait(0.1)
        except (OSError, IndexError):
            return False
        return True

    def ask(self, message: dict[str, Json], seconds: float) -> Asked | None:
        """The request that brought the answer to a callback; None where none came in time."""
        whole, box = self.waiting(message)
        self._pieces[-1](f"event: message\ndata: {json.dumps(whole)}\n\n".encode())
        try:
            return box.get(timeout=seconds)
        except queue.Empty:
            return None
