"""The configuration file of a runtime: plugins, routes, where runs are kept (spec section 11).

Knows no plugin, only what is written of them. Files of the original are read as they are, in both dialects; what its
files cannot say is marked "ours". All faults are told at once, each with its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from protogen_runtime.stepflow.engine.dialects import Backoff
from protogen_runtime.stepflow.flow import paths
from protogen_runtime.stepflow.flow.faults import Fault, Pointer, show
from protogen_runtime.stepflow.flow.model import Failed, FlowError, FlowResult, Success

from .contract import DialectName, Json, is_array, is_object
from .marked import Marked, Unreadable, is_entries, key_text, plain, read
from .mock import Behaviour, Broken, MockComponent
from .routing import BadPattern, Condition, Routes, Rule, parameters_of

EXECUTE_SECONDS: Final = 600.0
"""How long a worker may take to answer one call: the protocol has no bound, so one that hangs would hold its step for
ever. Ten minutes are more than models take; `executeTimeoutMs` of a plugin sets another."""


class BuiltinSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The builtin components. `openai_url` and `openai_model` are for /openai; `roots` are the folders that /load_file
    may read beside the working directory, None for every folder (ours)."""

    openai_url: str | None = None
    openai_model: str = "gpt-3.5-turbo"
    roots: tuple[Path, ...] | None = ()


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How to find out that a worker process serves: GET `path` until it answers 2xx."""

    path: str = "/health"
    timeout_seconds: float = 60.0
    retry_seconds: float = 0.1


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process; `env` is all of its environment."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A worker: at `url`, or started as `program`.

    `transport` is `http` (a program announces its port), `stdio`, or `session` (a stream of events beside the URL).
    `lenient` takes messages of old workers that lack `jsonrpc`; `execute_seconds` is None for no bound (all ours).
    """

    transport: Literal["http", "stdio", "session"] = "http"
    url: str | None = None
    program: Program | None = None
    health: Health = Health()
    execute_seconds: float | None = EXECUTE_SECONDS
    lenient: bool = False


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A server of the Model Context Protocol; `execute_seconds` is None for no bound (ours)."""

    program: Program
    execute_seconds: float | None = EXECUTE_SECONDS


class MockSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Components by name."""

    components: Mapping[str, MockComponent]


PluginSettings: TypeAlias = BuiltinSettings | WorkerSettings | McpSettings | MockSettings


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where something is kept: in memory, or in a database; `url` is as the file says it, such as `sqlite:f.db`."""

    kind: Literal["inMemory", "sqlite", "filesystem"] = "inMemory"
    url: str | None = None
    auto_migrate: bool = True
    max_connections: int | None = None
    directory: str | None = None


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call that did not reach its worker is tried again (0.11)."""

    transport_max_retries: int = 3
    backoff: Backoff = Backoff()


class BlobApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP API for blobs that workers of 0.11 are told of; `url` None for the runtime's own."""

    enabled: bool = True
    url: str | None = None
    threshold_bytes: int = 1_048_576


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about a runtime; `warnings` tell what the file says that means nothing here.

    `dialect` is None where the file does not tell (ours): the command line, and 0.9 in the end.
    """

    plugins: Mapping[str, PluginSettings] = {}
    routes: Routes = Routes({})
    metadata: StoreSettings = StoreSettings()
    blobs: StoreSettings | None = None
    journal: StoreSettings | None = None
    retry: RetrySettings = RetrySettings()
    blob_api: BlobApiSettings = BlobApiSettings()
    working_directory: Path = Path()
    dialect: DialectName | None = None
    warnings: tuple[str, ...] = ()


class BadConfig(Exception):
    """The file cannot be used; `faults` are all that is wrong with it, and the message is a line for each."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(_line(name, fault) for fault in faults))
        self.faults = tuple(faults)


def _line(name: str, fault: Fault) -> str:
    place = f"{name}:{fault.line}:{fault.column}" if fault.line else name
    at = show(fault.at)
    return f"{place}: {at + ': ' if at else ''}{fault.what}; {fault.fix}"


def load_config(path: Path, *, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file; relative folders in it are beside it. Errors: BadConfig."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfig(
            str(path), [Fault((), f"the file cannot be read: {error.strerror}", "check its name")]
        ) from None
    except UnicodeDecodeError as error:
        fault = Fault((), f"byte {error.start} is not UTF-8", "save the file as UTF-8")
        raise BadConfig(str(path), [fault]) from None
    return parse_config(text, name=str(path), folder=path.resolve().parent, environment=environment)


def parse_config(
    text: str, *, name: str = "<config>", folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """The configuration in a text, YAML or JSON. Errors: BadConfig.

    `folder` is what relative folders are in, the current one if None; `environment` has the variables that `${NAME}`
    and `${NAME:-default}` stand for, None for those of this process.
    """
    try:
        marked = read(text)
    except Unreadable as error:
        raise BadConfig(name, [error.fault]) from None
    known = os.environ if environment is None else environment
    reading = _Reading(marked, known, (folder or Path()).resolve())
    config = reading.config()
    if reading.faults:
        raise BadConfig(name, sorted(reading.faults, key=lambda fault: (fault.line, fault.column)))
    return config


_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")

_PLUGIN_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "builtin": ("openai", "loadFile"),
    "stepflow": (
        *("transport", "url", "command", "args", "env", "healthCheck"),
        *("executeTimeoutMs", "lenient", "maxRetries", "max_retries"),
    ),
    "mcp": ("command", "args", "env", "executeTimeoutMs"),
    "mock": ("components",),
}
_TOP_KEYS: Final = (
    *("plugins", "routes", "stateStore", "storageConfig", "retry", "blobApi", "leaseManager", "recovery"),
    *("workingDirectory", "dialect"),
)
_STORES: Final = ("inMemory", "sqlite", "filesystem")


class _Reading:
    """One file: its faults are gathered, and values that are wrong are replaced by defaults meanwhile."""

    def __init__(self, marked: Marked, environment: Mapping[str, str], folder: Path) -> None:
        self.faults: list[Fault] = []
        self._warnings: list[str] = []
        self._marked = marked
        self._environment = environment
        self._folder = folder

    def config(self) -> Config:
        root = self._marked.value
        if not is_object(root):
            self._fault((), f"expected a mapping with plugins and routes, got {_kind(root)}", "see the reference")
            return Config()
        self._unknown((), root, _TOP_KEYS)
        plugins = self._plugins(root)
        metadata, blobs, journal = self._stores(root)
        directory = self._text(root, ("workingDirectory",), "")
        return Config(
            plugins=plugins,
            routes=self._routes(root, plugins),
            metadata=metadata,
            blobs=blobs,
            journal=journal,
            retry=self._retry(root),
            blob_api=self._blob_api(root),
            working_directory=self._folder / self._expand(directory, ("workingDirectory",)),
            dialect=self._choice(root, ("dialect",), ("0.9", "0.11"), None),
            warnings=tuple(self._warnings),
        )

    # --- plugins ----------------------------------------------------------------------------------

    def _plugins(self, root: dict[str, Any]) -> dict[str, PluginSettings]:
        found: dict[str, PluginSettings] = {}
        for name, body in self._members(root, ("plugins",)).items():
            at: Pointer = ("plugins", name)
            if not is_object(body):
                self._fault(at, f"expected a mapping with the member type, got {_kind(body)}", "write {type: builtin}")
                continue
            kind = body.get("type")
            if kind not in _PLUGIN_KEYS:
                told = "it has no type" if kind is None else f"there is no type {kind!r}"
                self._fault((*at, "type"), told, f"write one of {', '.join(_PLUGIN_KEYS)}{_near(kind, _PLUGIN_KEYS)}")
                continue
            self._unknown(at, body, ("type", *_PLUGIN_KEYS[kind]))
            found[name] = self._plugin(kind, body, at)
        return found

    def _plugin(self, kind: str, body: dict[str, Any], at: Pointer) -> PluginSettings:
        match kind:
            case "builtin":
                return self._builtin(body, at)
            case "mcp":
                return McpSettings(program=self._program(body, at), execute_seconds=self._execute_seconds(body, at))
            case "mock":
                components = self._members(body, (*at, "components"))
                return MockSettings(
                    components={
                        name: self._mock(value, (*at, "components", name)) for name, value in components.items()
                    }
                )
            case _:
                return self._worker(body, at)

    def _builtin(self, body: dict[str, Any], at: Pointer) -> BuiltinSettings:
        openai = self._members(body, (*at, "openai"))
        files = self._members(body, (*at, "loadFile"))
        self._unknown((*at, "openai"), openai, ("baseUrl", "model"))
        self._unknown((*at, "loadFile"), files, ("roots", "anywhere"))
        url = self._text(openai, (*at, "openai", "baseUrl"), None)
        roots = [
            self._expand(root, (*at, "loadFile", "roots")) for root in self._texts(files, (*at, "loadFile", "roots"))
        ]
        anywhere = self._flag(files, (*at, "loadFile", "anywhere"), default=False)
        return BuiltinSettings(
            openai_url=None
            if url is None
            else self._url(self._expand(url, (*at, "openai", "baseUrl")), (*at, "openai", "baseUrl")),
            openai_model=self._text(openai, (*at, "openai", "model"), "gpt-3.5-turbo"),
            roots=None if anywhere else tuple(self._folder / root for root in roots),
        )

    def _worker(self, body: dict[str, Any], at: Pointer) -> WorkerSettings:
        transport = self._choice(body, (*at, "transport"), ("http", "stdio", "session"), "http")
        url, command = body.get("url"), body.get("command")
        if (not url) == (not command):
            found = "both" if url else "neither"
            self._fault(
                at, f"expected url or command, got {found}", "name the worker's URL, or the command that starts it"
            )
            return WorkerSettings()
        if transport == "stdio" and url is not None:
            self._fault((*at, "url"), "a worker over stdio is a command", "write command, or leave transport out")
        if transport == "session" and url is None:
            self._fault((*at, "command"), "a worker with a session is at a url", "write url, or leave transport out")
        for key in ("maxRetries", "max_retries"):
            if key in body:
                self._warn((*at, key), "how often a call is tried again is decided by retry and by the flow")
        return WorkerSettings(
            transport=transport,
            url=None if url is None else self._url(self._expanded_text(body, (*at, "url")), (*at, "url")),
            program=None if command is None else self._program(body, at),
            health=self._health(body, at),
            execute_seconds=self._execute_seconds(body, at),
            lenient=self._flag(body, (*at, "lenient"), default=False),
        )

    def _execute_seconds(self, body: dict[str, Any], at: Pointer) -> float | None:
        return self._number(body, (*at, "executeTimeoutMs"), EXECUTE_SECONDS * 1000) / 1000 or None

    def _program(self, body: dict[str, Any], at: Pointer) -> Program:
        if not body.get("command"):
            self._fault((*at, "command"), "expected the command that starts it, got nothing", "write command: PROGRAM")
            return Program(command="false")
        args = self._texts(body, (*at, "args"))
        env = self._members(body, (*at, "env"))
        return Program(
            command=self._expanded_text(body, (*at, "command")),
            args=tuple(self._expand(text, (*at, "args", index)) for index, text in enumerate(args)),
            env={
                name: self._expand(self._scalar(value, (*at, "env", name)), (*at, "env", name))
                for name, value in env.items()
            },
        )

    def _health(self, body: dict[str, Any], at: Pointer) -> Health:
        at = (*at, "healthCheck")
        checks = self._members(body, at)
        self._unknown(at, checks, ("path", "timeoutMs", "retryDelayMs", "timeoutSecs", "retryAttempts"))
        return Health(
            path=self._text(checks, (*at, "path"), "/health"),
            timeout_seconds=self._number(checks, (*at, "timeoutMs"), 60_000) / 1000,
            retry_seconds=max(self._number(checks, (*at, "retryDelayMs"), 100) / 1000, 0.001),
        )

    def _mock(self, body: Any, at: Pointer) -> MockComponent:
        if not is_object(body):
            self._fault(
                at, f"expected a mapping with behaviors, got {_kind(body)}", "write {behaviors: {INPUT: RESULT}}"
            )
            return MockComponent()
        self._unknown(at, body, ("input_schema", "output_schema", "behaviors"))
        written: Any = body.get("behaviors")
        found: list[Behaviour] = []
        if is_object(written):
            entries = [(_key_value(key), value, (*at, "behaviors", key)) for key, value in written.items()]
        elif is_entries(written):
            entries = [
                (plain(entry.key), entry.value, (*at, "behaviors", index)) for index, entry in enumerate(written)
            ]
        else:
            entries = []
            if written is not None:
                self._fault((*at, "behaviors"), f"expected a mapping, got {_kind(written)}", "write {INPUT: RESULT}")
        for value, outcome, place in entries:
            told = self._outcome(outcome, place)
            if told is not None:
                found.append(Behaviour(value, told))
        return MockComponent(
            input_schema=body.get("input_schema"), output_schema=body.get("output_schema"), behaviours=tuple(found)
        )

    def _outcome(self, body: Any, at: Pointer) -> FlowResult | Broken | None:
        fix = "write {outcome: success, result: VALUE}, {outcome: failed, error: {code, message}} or {error: TEXT}"
        known: dict[str, Any] = body if is_object(body) else {}
        outcome, error = known.get("outcome"), known.get("error")
        if outcome == "success" and "result" in known:
            return Success(plain(known["result"]))
        if outcome == "failed" and is_object(error):
            code, message = error.get("code"), error.get("message")
            if isinstance(code, int) and isinstance(message, str):
                return Failed(FlowError(code, message, plain(error.get("data"))))
        if outcome is None and isinstance(error, str):
            return Broken(error)
        self._fault(at, "expected what the component does", fix)
        return None

    # --- routes -----------------------------------------------------------------------------------

    def _routes(self, root: dict[str, Any], plugins: Mapping[str, PluginSettings]) -> Routes:
        routes = Routes({})
        # A plugin that was refused is told of once: routes to it are not wrong for that.
        names = set(self._members(root, ("plugins",), silent=True))
        for pattern, body in self._members(root, ("routes",)).items():
            at: Pointer = ("routes", pattern)
            if not is_array(body):
                self._fault(at, f"expected a list of rules, got {_kind(body)}", "write - plugin: NAME below it")
                continue
            rules = [self._rule(rule, (*at, index), pattern, names) for index, rule in enumerate(body)]
            try:
                routes.add(pattern, rules)
            except BadPattern as error:
                self._fault(at, str(error), "correct the pattern")
        del plugins
        return routes

    def _rule(self, body: Any, at: Pointer, pattern: str, names: set[str]) -> Rule:
        if not is_object(body):
            self._fault(at, f"expected a mapping with the member plugin, got {_kind(body)}", "write plugin: NAME")
            return Rule(plugin="")
        self._unknown(
            at,
            body,
            (
                "plugin",
                "component",
                "conditions",
                "componentAllow",
                "componentDeny",
                "component_allow",
                "component_deny",
            ),
        )
        plugin = body.get("plugin")
        if plugin not in names:
            told = "it names no plugin" if plugin is None else f"there is no plugin {plugin!r}"
            self._fault(
                (*at, "plugin"), told, f"the plugins are {', '.join(sorted(names)) or 'none'}{_near(plugin, names)}"
            )
        template = self._text(body, (*at, "component"), None)
        captured = parameters_of(pattern)
        for name in parameters_of(template or ""):
            if name not in captured:
                self._fault(
                    (*at, "component"), f"{{{name}}} is no parameter of {pattern}", "name one that the pattern has"
                )
        if template is None and "component" not in captured:
            self._fault(at, f"{pattern} has no parameter {{component}}", "add component: /NAME, which the plugin gets")
        allow_key = "component_allow" if "component_allow" in body else "componentAllow"
        deny_key = "component_deny" if "component_deny" in body else "componentDeny"
        allow = self._texts(body, (*at, allow_key)) if body.get(allow_key) is not None else None
        return Rule(
            plugin=plugin if isinstance(plugin, str) else "",
            component=template,
            conditions=tuple(self._conditions(body, at)),
            allow=None if allow is None else tuple(allow),
            deny=tuple(self._texts(body, (*at, deny_key))),
        )

    def _conditions(self, body: dict[str, Any], at: Pointer) -> list[Condition]:
        found: list[Condition] = []
        written: Any = body.get("conditions")
        if written is not None and not is_array(written):
            self._fault((*at, "conditions"), f"expected a list, got {_kind(written)}", "write - {path: $.x, value: 1}")
            return found
        for index, condition in enumerate(written if is_array(written) else []):
            place = (*at, "conditions", index)
            text = condition.get("path") if is_object(condition) else None
            if not isinstance(text, str) or "value" not in condition:
                self._fault(place, "expected a path and a value", "write {path: $.kind, value: 1}")
                continue
            try:
                found.append(Condition(paths.parse(text), plain(condition["value"])))
            except paths.BadPath as error:
                self._fault((*place, "path"), str(error), "write a path such as $.kind")
        return found

    # --- the rest ---------------------------------------------------------------------------------

    def _stores(self, root: dict[str, Any]) -> tuple[StoreSettings, StoreSettings | None, StoreSettings | None]:
        if "stateStore" in root and "storageConfig" in root:
            self._fault(("storageConfig",), "the file has stateStore, too", "leave one of them (0.9 knows stateStore)")
        key = "storageConfig" if "storageConfig" in root else "stateStore"
        body = self._members(root, (key,))
        if "metadata" not in body:
            return self._store(body, (key,)), None, None
        self._unknown((key,), body, ("metadata", "blobs", "journal"))
        stores = {
            part: self._store(self._members(body, (key, part)), (key, part)) if body.get(part) is not None else None
            for part in ("metadata", "blobs", "journal")
        }
        return stores["metadata"] or StoreSettings(), stores["blobs"], stores["journal"]

    def _store(self, body: dict[str, Any], at: Pointer) -> StoreSettings:
        self._unknown(at, body, ("type", "databaseUrl", "autoMigrate", "maxConnections", "directory"))
        kind = self._choice(body, (*at, "type"), _STORES, "inMemory")
        url = self._text(body, (*at, "databaseUrl"), None)
        if kind == "sqlite" and url is None:
            self._fault(
                (*at, "databaseUrl"), "a sqlite store has no databaseUrl", 'write databaseUrl: "sqlite:state.db"'
            )
        connections = self._number(body, (*at, "maxConnections"), 0)
        return StoreSettings(
            kind=kind,
            url=None if url is None else self._expand(url, (*at, "databaseUrl")),
            auto_migrate=self._flag(body, (*at, "autoMigrate"), default=True),
            max_connections=int(connections) or None,
            directory=self._text(body, (*at, "directory"), None),
        )

    def _retry(self, root: dict[str, Any]) -> RetrySettings:
        body = self._members(root, ("retry",))
        self._unknown(("retry",), body, ("transportMaxRetries", "backoff"))
        at: Pointer = ("retry", "backoff")
        backoff = self._members(body, at)
        self._unknown(at, backoff, ("type", "minDelayMs", "maxDelayMs", "factor", "delayMs", "maxTimes"))
        if "factor" in backoff:
            self._warn((*at, "factor"), "exponential pauses double")
        delay = self._number(backoff, (*at, "delayMs"), 1000)
        return RetrySettings(
            transport_max_retries=int(self._number(body, ("retry", "transportMaxRetries"), 3)),
            backoff=Backoff(
                grows=self._choice(backoff, (*at, "type"), ("fibonacci", "exponential", "constant"), "fibonacci"),
                first=self._number(backoff, (*at, "minDelayMs"), delay) / 1000,
                longest=self._number(backoff, (*at, "maxDelayMs"), max(delay, 10_000)) / 1000,
            ),
        )

    def _blob_api(self, root: dict[str, Any]) -> BlobApiSettings:
        body = self._members(root, ("blobApi",))
        self._unknown(("blobApi",), body, ("enabled", "url", "blobThreshold"))
        url = self._text(body, ("blobApi", "url"), None)
        return BlobApiSettings(
            enabled=self._flag(body, ("blobApi", "enabled"), default=True),
            url=None if url is None else self._url(self._expand(url, ("blobApi", "url")), ("blobApi", "url")),
            threshold_bytes=int(self._number(body, ("blobApi", "blobThreshold"), 1_048_576)),
        )

    # --- members: each of these takes the mapping and the pointer to the member in it ----------------

    def _members(self, body: dict[str, Any], at: Pointer, *, silent: bool = False) -> dict[str, Any]:
        value = body.get(str(at[-1]))
        if value is None:
            return {}
        if is_object(value):
            return value
        if is_entries(value):
            return {key_text(entry.key): entry.value for entry in value}
        if not silent:
            self._fault(at, f"expected a mapping, got {_kind(value)}", "write KEY: VALUE below it")
        return {}

    def _text(self, body: dict[str, Any], at: Pointer, default: Any) -> Any:
        value = body.get(str(at[-1]))
        if value is None:
            return default
        if isinstance(value, str):
            return value
        self._fault(at, f"expected a text, got {_kind(value)}", "put it in quotes")
        return default

    def _expanded_text(self, body: dict[str, Any], at: Pointer) -> str:
        return self._expand(str(self._text(body, at, "")), at)

    def _texts(self, body: dict[str, Any], at: Pointer) -> list[str]:
        value = body.get(str(at[-1]))
        if value is None:
            return []
        if not is_array(value):
            self._fault(at, f"expected a list, got {_kind(value)}", "write it as [a, b]")
            return []
        return [self._scalar(item, (*at, index)) for index, item in enumerate(value)]

    def _scalar(self, value: Any, at: Pointer) -> str:
        """A text; numbers and booleans without quotes are what they look like."""
        match value:
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case int() | float():
                return str(value)
            case None:
                return ""
            case _:
                self._fault(at, f"expected a text, got {_kind(value)}", "put it in quotes")
                return ""

    def _number(self, body: dict[str, Any], at: Pointer, default: float) -> float:
        value = body.get(str(at[-1]))
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
            return value
        got = repr(value) if isinstance(value, int | float) else _kind(value)
        self._fault(at, f"expected a number from 0 on, got {got}", "write such a number")
        return default

    def _flag(self, body: dict[str, Any], at: Pointer, *, default: bool) -> bool:
        value = body.get(str(at[-1]))
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self._fault(at, f"expected true or false, got {_kind(value)}", "write true or false")
        return default

    def _choice(self, body: dict[str, Any], at: Pointer, choices: tuple[str, ...], default: Any) -> Any:
        value = body.get(str(at[-1]))
        if value is None:
            return default
        text = str(value)
        if text in choices:
            return text
        self._fault(at, f"there is no {at[-1]} {text!r}", f"write one of {', '.join(choices)}{_near(value, choices)}")
        return default

    def _url(self, text: str, at: Pointer) -> str:
        if text and not re.match(r"https?://[^/\s]", text):
            self._fault(at, f"expected http://HOST:PORT/ or https://…, got {text!r}", "write the whole URL")
        return text

    def _expand(self, text: str, at: Pointer) -> str:
        """`${NAME}` and `${NAME:-default}` replaced; a default stands in for an empty variable, too."""

        def value(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            known = self._environment.get(name)
            if known is None and default is None:
                self._fault(at, f"the variable {name} is not set", f"set it, or write ${{{name}:-DEFAULT}}")
                return ""
            return known or default or ""

        return _VARIABLE.sub(value, text)

    def _unknown(self, at: Pointer, body: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in body:
            if name not in known:
                self._warn((*at, name), f"this key means nothing here{_near(name, known)}")

    def _warn(self, at: Pointer, what: str) -> None:
        fault = self._marked.fault(at, what, "")
        place = f"line {fault.line}: " if fault.line else ""
        self._warnings.append(f"{place}{show(at)}: {what}")

    def _fault(self, at: Pointer, what: str, fix: str) -> None:
        self.faults.append(self._marked.fault(at, what, fix))


def _key_value(key: str) -> Json:
    """The input that a key of behaviours stands for: JSON text of an object, an array or null, else the text itself."""
    if key[:1] not in ("{", "[") and key != "null":
        return key
    try:
        return msgspec.json.decode(key)
    except msgspec.DecodeError:
        return key


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = ((dict, "a mapping"), (list, "a list"), (str, "a text"), (bool, "true or false"))
    return next((name for kind, name in names if isinstance(value, kind)), "a number")


def _near(name: Any, known: Any) -> str:
    near = get_close_matches(str(name), list(known), n=1) if name is not None else []
    return f" (did you mean {near[0]}?)" if near else ""
