"""What an operator decides about a Stepflow runtime: the configuration file, and where its runs are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec

from protogen_runtime.io.http import server
from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.stepflow.api.serving import MAX_BLOB_BYTES
from protogen_runtime.stepflow.plugins.config import (
    BadConfig,
    BuiltinSettings,
    Config,
    StoreSettings,
    load_config,
    parse_config,
)
from protogen_runtime.stepflow.plugins.contract import DialectName
from protogen_runtime.stepflow.plugins.routing import Routes, Rule
from protogen_runtime.stepflow.runs import Limits

DEFAULT_DATABASE: Final = "sqlite:///stepflow.db"
"""Where runs are kept without a configuration; one says it itself, and means memory where it says nothing."""

CONFIG_NAMES: Final = ("stepflow-config.yml", "stepflow-config.yaml", "stepflow-config.json")
"""Looked for where no configuration is named, as the original does."""

BUILTIN: Final = Config(
    plugins={"builtin": BuiltinSettings()},
    routes=Routes({"/builtin/{*component}": [Rule(plugin="builtin")]}),
)
"""What there is without a configuration."""


class Settings(server.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about a runtime, beside what every server has.

    `config`: the configuration of plugins and routes, which the original reads, too. `database`: `sqlite:///FILE`, or
    `memory:`; None is what the configuration says. `dialect` goes before that of the configuration. `runs`: how much
    the runtime takes.
    """

    config: str | None = None
    database: str | None = None
    dialect: DialectName | None = None
    max_blob_bytes: Annotated[int, msgspec.Meta(ge=1)] = MAX_BLOB_BYTES
    runs: Limits = Limits()


def read_settings(file: Path | None) -> Settings:
    """The settings for what `--config` names: a configuration (YAML or JSON, - for standard input), or TOML.

    In TOML, `config` names the configuration, relative to the file. Without a file, a configuration in the working
    folder is found by its name. Errors: CannotServe.
    """
    if file is None:
        found = find_config(Path())
        return Settings(config=None if found is None else str(found))
    if file.suffix != ".toml":
        return Settings(config=str(file))
    settings = server.read_settings(file, Settings)
    if settings.config is None:
        return settings
    return msgspec.structs.replace(settings, config=str(file.parent / settings.config))


def check_limits(limits: Limits) -> None:
    """Find limits under which nothing could run. Errors: CannotServe."""
    for name in Limits.__struct_fields__:
        value: int | float = getattr(limits, name)
        # Nothing may be done at once; but nothing can be done in no room.
        if value < 0 or (value == 0 and not name.endswith("_seconds")):
            raise CannotServe(f"runs.{name}: expected a number above 0, got {value!r}")


def find_config(*folders: Path) -> Path | None:
    """The first configuration that stands in one of the folders under a known name."""
    return next((folder / name for folder in folders for name in CONFIG_NAMES if (folder / name).is_file()), None)


def read_config(name: str | None, *, dialect: DialectName | None = None) -> Config:
    """The configuration of that name, BUILTIN for None; `dialect` goes before its own. Errors: CannotServe."""
    if name is None:
        config = BUILTIN
    else:
        try:
            config = parse_config(sys.stdin.read(), name="<stdin>") if name == "-" else load_config(Path(name))
        except BadConfig as reason:
            raise CannotServe(str(reason)) from None
    return config if dialect is None else msgspec.structs.replace(config, dialect=dialect)


def address_of(settings: Settings, config: Config) -> str:
    """The address of the database: as the settings say it, else the configuration."""
    if settings.database is not None:
        return settings.database
    return DEFAULT_DATABASE if settings.config is None else address_in(config.metadata)


def address_in(store: StoreSettings) -> str:
    """The address for what a configuration says, whose URLs are written `sqlite:FILE?mode=rwc`. Errors: CannotServe."""
    if store.kind != "sqlite" or store.url is None:
        return "memory:"
    scheme, colon, rest = store.url.partition(":")
    if not colon or scheme != "sqlite":
        raise CannotServe(f"databaseUrl: expected sqlite:FILE, got {store.url!r}; name a file, or give --db")
    name = rest.partition("?")[0].removeprefix("//")
    if name in ("", ":memory:", "/:memory:"):
        return "memory:"
    return f"sqlite:///{name}"
