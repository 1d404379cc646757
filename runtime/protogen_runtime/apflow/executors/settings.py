"""Settings: what an operator allows executors to do. The defaults allow nothing that reaches into a private network or
starts a program.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MEBIBYTE: Final = 1024 * 1024
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class ExecutorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches and bounds of the executors that are built in.

    `modules`: where executors of one's own are, as "package.module" or "file.py"; what they declare is registered.

    Network (`http`, `remote`, push): `allow_private_addresses` lifts the guard for all addresses that are not public,
    `allowed_networks` for some ("10.1.0.0/16"); `allow_unverified_tls` lets a task say `verify: false`;
    `http_max_response_bytes` and `http_max_seconds` bound one request, redirects included.

    Programs: `command` is off unless `commands_enabled`; then only the programs in `allowed_commands` run, named as
    tasks name them ("git", "/usr/bin/git"). None allows every program: the node's user is then all that protects the
    machine. `command_folder` is where they run; `command_environment` names the variables they inherit.

    Any executor: `result_max_bytes` bounds a result as JSON, `threads` those that block at once, `processes` the
    Python processes of functions that run in one, `cancel_seconds` how long `cancel` of an executor may take.
    """

    modules: tuple[str, ...] = ()

    allow_private_addresses: bool = False
    allowed_networks: tuple[str, ...] = ()
    allow_unverified_tls: bool = False
    # What a task's result may hold by default, with room for the JSON around the text.
    http_max_response_bytes: Positive = 4 * MEBIBYTE
    http_max_seconds: Seconds = 300.0
    http_max_redirects: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5

    commands_enabled: bool = False
    allowed_commands: tuple[str, ...] | None = ()
    command_folder: str | None = None
    command_environment: tuple[str, ...] = ("PATH", "LANG", "LC_ALL", "TZ")
    command_max_output_bytes: Positive = MEBIBYTE
    command_max_seconds: Seconds = 3600.0

    result_max_bytes: Positive = 8 * MEBIBYTE
    # As many as trio's own default: threads are for waiting, not for computing.
    threads: Positive = 40
    processes: Positive = 4
    cancel_seconds: Seconds = 5.0
