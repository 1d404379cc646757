"""Transcripts: what passed between the kit and a target, kept so that it can be read, and sent again.

Knows neither clauses nor verdicts. Credentials are never kept: see SECRET_HEADERS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from protogen_compliance.peer.http import Exchange, parse_url
from protogen_compliance.peer.rpc import RpcPeer, parse_json
from protogen_compliance.peer.stdio import Line, StdioPeer
from protogen_compliance.peer.wire import Deadline, PeerFault

SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key")
HIDDEN = "***"
"""Stands where a credential was."""

MAX_SENT_BYTES = 262_144
"""Longer requests are cut, so that a report stays readable; they cannot be sent again."""
MAX_RECEIVED_BYTES = 16_384
MAX_KEPT = 400
"""Transcripts kept in the user's cache; the oldest go."""

Json: TypeAlias = Any
"""A JSON value, whose shape nobody has checked yet."""


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes as a report holds them: `text` where they are UTF-8, `base64` otherwise; `size` is the whole length."""

    text: str | None = None
    base64: str | None = None
    size: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing was cut."""
        return len(self.bytes()) == self.size

    def bytes(self) -> bytes:
        """The bytes that were kept."""
        return base64.b64decode(self.base64) if self.base64 is not None else (self.text or "").encode()


def data_of(raw: bytes, limit: int) -> Data:
    """Bytes for a report, cut at `limit`."""
    kept = raw[:limit]
    try:
        return Data(text=kept.decode("utf-8"), size=len(raw))
    except UnicodeDecodeError:
        return Data(base64=base64.b64encode(kept).decode("ascii"), size=len(raw))


class Exchanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and what came back; `seconds` from the first byte sent to the last one received.

    Over stdio `method`, `url`, `status` and headers are empty, and both bodies are lines.
    """

    transport: Literal["http", "stdio"] = "http"
    method: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    sent: Data
    status: int | None = None
    media_type: str = ""
    received: Data | None = None
    seconds: float = 0.0

    def curl(self) -> str:
        """A command line that sends the same request; credentials are left to be filled in."""
        if self.transport == "stdio":
            return f"printf '%s\\n' {shlex.quote(self.sent.bytes().decode('utf-8', 'backslashreplace'))} | COMMAND"
        words = ["curl", "-sS", "-X", self.method, self.url]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        if self.sent.text:
            words += ["--data-binary", self.sent.text]
        elif self.sent.base64:
            return f"printf %s {self.sent.base64} | base64 -d | {shlex.join([*words, '--data-binary', '@-'])}"
        return shlex.join(words)

    def lines(self, *, limit: int = 2000) -> list[str]:
        """Both bodies for people, each cut at `limit` characters."""
        told = [f"> {self.method} {self.url}"] if self.transport == "http" else []
        told += [f"> {_shown(self.sent, limit)}"] if self.sent.size else []
        if self.transport == "http":
            told.append("< no answer" if self.status is None else f"< {self.status} {self.media_type}".rstrip())
        elif self.received is None:
            told.append("< no answer")
        return told + ([f"< {_shown(self.received, limit)}"] if self.received and self.received.size else [])


def _shown(data: Data, limit: int) -> str:
    text = data.bytes().decode("utf-8", "backslashreplace").replace("\r", "").rstrip("\n")
    if len(text) <= limit and data.whole:
        return text
    return f"{text[:limit]}… ({data.size} bytes)"


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The exchanges that led to one finding, in their order. `title` says which finding in a line."""

    id: str
    target: str
    title: str
    exchanges: list[Exchanged]


def exchanged(raw: Exchange | Line) -> Exchanged:
    """What a peer recorded, for a report."""
    if isinstance(raw, Line):
        return Exchanged(
            transport="stdio",
            sent=data_of(raw.sent, MAX_SENT_BYTES),
            received=data_of(raw.received, MAX_RECEIVED_BYTES) if raw.received is not None else None,
            seconds=round(raw.seconds, 6),
        )
    return Exchanged(
        method=raw.method,
        url=raw.url,
        headers={name: HIDDEN if name in SECRET_HEADERS else value for name, value in raw.headers},
        sent=data_of(raw.sent, MAX_SENT_BYTES),
        status=raw.head.status if raw.head else None,
        media_type=raw.head.media_type if raw.head else "",
        received=data_of(raw.body, MAX_RECEIVED_BYTES) if raw.head else None,
        seconds=round(raw.ended - raw.started, 6),
    )


# --- kept ones ------------------------------------------------------------------------------------


class NoTranscript(Exception):
    """There is none with that id; the text says where was looked."""


def store() -> Path:
    """The folder of kept transcripts: below the user's cache."""
    base = os.environ.get("PROTOGEN_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "protogen" / "transcripts"


def make(target: str, title: str, exchanges: Sequence[Exchanged]) -> Transcript:
    """A transcript with its id: the same finding on the same target has the same one."""
    digest = hashlib.sha256(f"{target}\0{title}".encode())
    return Transcript(id=digest.hexdigest()[:8], target=target, title=title, exchanges=list(exchanges))


def keep(transcripts: Iterable[Transcript], folder: Path | None = None) -> None:
    """Writes transcripts where `find` looks; does nothing where nothing can be written."""
    folder = folder or store()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for transcript in transcripts:
            (folder / f"{transcript.id}.json").write_bytes(msgspec.json.encode(transcript))
        kept = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in kept[:-MAX_KEPT]:
            file.unlink(missing_ok=True)
    except OSError:
        # A run must not fail for want of a cache: its report has the transcripts, too.
        return


def find(name: str, *, report: Path | None = None, folder: Path | None = None) -> Transcript:
    """The kept transcript with that id, or one of a JSON report; raises NoTranscript."""
    if report is not None:
        for transcript in _of_report(report):
            if transcript.id == name or transcript.title.startswith(f"{name} "):
                return transcript
        raise NoTranscript(f"{report} has no transcript {name!r}")
    file = (folder or store()) / f"{name}.json"
    if not name.isalnum() or not file.is_file():
        raise NoTranscript(
            f"no transcript {name!r} in {file.parent}; ids are printed with each finding, and --report FILE finds "
            "those of a run that was written with --json FILE"
        )
    try:
        return msgspec.json.decode(file.read_bytes(), type=Transcript)
    except (OSError, msgspec.MsgspecError) as reason:
        raise NoTranscript(f"{file} cannot be read: {reason}") from None


def _of_report(report: Path) -> Iterable[Transcript]:
    try:
        tree = json.loads(report.read_bytes())
        target = tree["target"]
        for test in tree["tests"]:
            if test.get("replay"):
                kept = msgspec.convert(test["exchanges"], list[Exchanged])
                yield Transcript(
                    id=test["replay"], target=target, title=f"{test['clauses'][0]} {test['test']}", exchanges=kept
                )
    except (OSError, ValueError, LookupError, TypeError, msgspec.MsgspecError) as reason:
        raise NoTranscript(f"{report} is no report of a run: {type(reason).__name__}: {reason}") from None


# --- sent again -----------------------------------------------------------------------------------


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded exchange and what the same request gave now; `note` says why it was not sent."""

    then: Exchanged
    now: Exchanged | None = None
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether status and body, as JSON values where they are JSON, are what they were."""
        if self.now is None or self.then.status != self.now.status:
            return False
        return bool(_value(self.then.received) == _value(self.now.received))


def _value(data: Data | None) -> Json:
    if data is None:
        return None
    try:
        return parse_json(data.bytes())
    except ValueError:
        return data.bytes()


def replay(
    transcript: Transcript, *, target: str | None = None, headers: dict[str, str] | None = None, timeout: float = 10.0
) -> list[Replayed]:
    """Sends the requests of a transcript again, to another target where one is named; raises PeerFault.

    `target` is an address for what was sent over HTTP and a command for what was sent over stdio.
    """
    overridden = {name.lower(): value for name, value in (headers or {}).items()}
    lines = [it for it in transcript.exchanges if it.transport == "stdio"]
    if lines:
        return _replay_lines(lines, (target or transcript.target).removeprefix("stdio:"), timeout)
    found: list[Replayed] = []
    for then in transcript.exchanges:
        if not then.sent.whole:
            found.append(Replayed(then=then, note=f"a request of {then.sent.size} bytes was not kept whole"))
            continue
        then_url = parse_url(then.url)
        url = then_url
        if target is not None:
            chosen = parse_url(target)
            url = chosen if chosen.path != "/" else chosen._replace(path=then_url.path)
        sent = {name: overridden.get(name, value) for name, value in {**then.headers, **overridden}.items()}
        peer = RpcPeer(url, patience=timeout)
        missing = {name: None for name in peer.headers if name not in sent and name != "host"}
        reply = peer.send(
            then.sent.bytes(),
            path=url.path,
            method=then.method,
            headers={**sent, **missing},
        )
        peer.close()
        if reply.fault is not None and reply.exchange.head is None and not found and then.status is not None:
            raise reply.fault
        found.append(Replayed(then=then, now=exchanged(reply.exchange)))
    return found


def _replay_lines(lines: Sequence[Exchanged], command: str, timeout: float) -> list[Replayed]:
    found: list[Replayed] = []
    with StdioPeer(shlex.split(command)) as peer:
        for then in lines:
            if not then.sent.whole:
                found.append(Replayed(then=then, note=f"a line of {then.sent.size} bytes was not kept whole"))
                continue
            deadline = Deadline(timeout)
            began = peer.send(then.sent.bytes(), deadline)
            received: bytes | None = None
            if then.received is not None:
                try:
                    received = peer.next_line(deadline)
                except PeerFault:
                    received = None
            found.append(Replayed(then=then, now=exchanged(Line(then.sent.bytes(), received, began.since()))))
    return found
