"""Every transport that is built in keeps the contract."""

from __future__ import annotations

import pytest
import servers

from protogen_runtime.io.contract import Serving, TransportContract


class TestMemory(TransportContract):
    @pytest.fixture
    def serving(self) -> Serving:
        return servers.memory


class TestStdio(TransportContract):
    @pytest.fixture
    def serving(self) -> Serving:
        return servers.pipes


class TestWebSocket(TransportContract):
    @pytest.fixture
    def serving(self) -> Serving:
        return servers.websocket


class TestHttp(TransportContract):
    @pytest.fixture
    def serving(self) -> Serving:
        return servers.http


class TestSessions(TransportContract):
    carries_events = False

    @pytest.fixture
    def serving(self) -> Serving:
        return servers.sessions
