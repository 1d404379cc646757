"""Several services as one: protocols that share an endpoint, told apart by the names of their methods.

Knows no transport. Path, instance header and health page are those of the first.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from protogen_runtime.jsonrpc import METHOD_NOT_FOUND, Work

from .context import Link
from .direct import DirectCall
from .later import Outcome
from .sdk import Codec, Method, ProtocolInfo
from .service import Report, Service


class _JoinedInfo:
    """The tables of all protocols as one; everything else is the first one's."""

    def __init__(self, infos: tuple[ProtocolInfo, ...]) -> None:
        self._first = infos[0]
        self.methods: Mapping[str, Method] = {name: method for info in infos for name, method in info.methods.items()}
        self.errors: Mapping[Any, Mapping[int, object]] = {
            (info.name, family): codes for info in infos for family, codes in getattr(info, "errors", {}).items()
        }

    @property
    def name(self) -> str:
        return self._first.name

    @property
    def codec(self) -> Codec:
        return self._first.codec

    @property
    def path(self) -> str:
        return self._first.path

    @property
    def health_path(self) -> str | None:
        return self._first.health_path

    @property
    def instance_header(self) -> str:
        return self._first.instance_header


class Joined(Service):
    """Serves the methods of all `services`; each keeps its own codec, errors and wording.

    Errors: ValueError where two services have a method of the same name.
    """

    def __init__(self, *services: Service) -> None:
        self._by_method: dict[str, Service] = {}
        for service in services:
            for name in service.method_names:
                if name in self._by_method:
                    raise ValueError(f"two services have a method {name!r}: only one can serve it")
                self._by_method[name] = service
        self._services = services
        self.info: ProtocolInfo = _JoinedInfo(tuple(service.info for service in services))
        self.usage = services[0].usage
        self._reader = None

    @property
    def method_names(self) -> frozenset[str]:
        """The methods that are served."""
        return frozenset(self._by_method)

    @property
    def report(self) -> Report | None:
        """Told of failures; one for all services."""
        return self._services[0].report

    @report.setter
    def report(self, report: Report | None) -> None:
        for service in self._services:
            service.report = report

    def direct_classes(self) -> list[type[DirectCall]]:
        """See Service; each class knows whose method it is."""
        return [found for service in self._services for found in service.direct_classes()]

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        service = self._by_method.get(work.method)
        return METHOD_NOT_FOUND if service is None else service.start(work, link)
