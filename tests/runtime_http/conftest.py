"""Fixtures of the HTTP server's tests; what they call is in http_rig."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trustme

from protogen_runtime.io.http.server import Tls

# The second reader of JSON-RPC is the fuzzer's.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "fuzz")]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tls, Path]:
    """A certificate for localhost, its key, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem")), folder / "ca.pem"
