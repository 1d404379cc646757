"""What the tests of the transports share: servers of every kind in the test's own process, and echo's two roles."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trustme

from protogen_runtime.io.http.server import Tls

pytest.register_assert_rewrite("protogen_runtime.io.contract")
# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from servers import Authority  # noqa: E402 - found only now


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority, and a certificate that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    file = str(folder / "server.pem")
    return Authority(Tls(certificate=file, key=file), folder / "ca.pem")
