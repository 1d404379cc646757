"""Who may ask a node: keys and signed tokens, and how everybody else is refused on every way in."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from serving import SERVE, Node, bearer, handshake, read_answer, serving

from protogen_runtime.io.http.server import CannotServe, check, read_settings
from protogen_runtime.io.http.tokens import BadKeySet, BadToken, JwtSettings, Tokens, read_key_set
from protogen_runtime.nodes.apflow import Settings

ISSUER, AUDIENCE = "https://id.example.org", "apflow"
LIST = b'{"jsonrpc":"2.0","id":7,"method":"tasks.list","params":{}}'
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"RS256": RSA, "ES256": EC, "EdDSA": ED}
PUBLIC: dict[str, dict[str, Any]] = {
    "RS256": {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "r", "use": "sig"},
    "ES256": {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "e"},
    "EdDSA": {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "o", "alg": "EdDSA"},
}


def key_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": list(keys)})


def token(algorithm: str = "ES256", *, key: Any = None, head: dict[str, Any] | None = None, **claims: Any) -> str:
    """A good token, but for what is given."""
    stated = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 600, **claims}
    stated = {name: value for name, value in stated.items() if value is not None}
    given = {"kid": PUBLIC[algorithm]["kid"]} if algorithm in PUBLIC and head is None else head
    return jwt.encode(stated, PRIVATE[algorithm] if key is None else key, algorithm=algorithm, headers=given)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, trustme.CA]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    return folder, authority


def config_of(folder: Path) -> str:
    (folder / "keys.json").write_text(key_set(*PUBLIC.values()))
    return f"""
[access.keys]
bob = "bob's secret"
[access.jwt]
key_set = "{folder / "keys.json"}"
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Node]:
    folder = tmp_path_factory.mktemp("node")
    with serving(folder, config_of(folder)) as node:
        yield node


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, tls: tuple[Path, trustme.CA]) -> Generator[Node]:
    import ssl

    folder = tmp_path_factory.mktemp("secure")
    trust = ssl.create_default_context()
    tls[1].configure_trust(trust)
    files = f'[tls]\ncertificate = "{tls[0] / "cert.pem"}"\nkey = "{tls[0] / "key.pem"}"\n'
    # Over TLS the end of an answer waits for the client's.
    files += "[limits]\nlinger_seconds = 0.1\n"
    with serving(folder, config_of(folder) + files, tls=trust) as node:
        yield node


BAD: dict[str, dict[str, str]] = {
    "nothing": {},
    "a wrong key": bearer("wrong"),
    "an empty token": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": "Basic Ym9iOmJvYidzIHNlY3JldA=="},
    "a wrong API key": {"X-Api-Key": "wrong"},
    "a token of nobody": bearer("a.b.c"),
    "an expired token": bearer(token(exp=time.time() - 60)),
}


def check_refusal(status: int, headers: Any, body: bytes) -> None:
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer")
    assert headers["content-type"] == "application/json"
    answer = json.loads(body)
    assert answer["id"] is None
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32004, "Unauthorized")
    assert isinstance(answer["error"]["data"]["reason"], str)


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("path", ["/", "/tasks"])
def test_somebody_unknown_gets_the_protocols_error(node: Node, what: str, path: str) -> None:
    answer = node.send(LIST, BAD[what], path=path)
    check_refusal(answer.status, answer.headers, answer.body)


@pytest.mark.parametrize("what", BAD)
def test_the_same_over_tls_and_http2(secure: Node, what: str) -> None:
    answer = secure.send(LIST, BAD[what])
    check_refusal(answer.status, answer.headers, answer.body)
    assert secure.tls is not None
    with httpx.Client(http2=True, verify=secure.tls) as client:
        found = client.post(secure.url, content=LIST, headers={"content-type": "application/json", **BAD[what]})
        assert found.http_version == "HTTP/2"
        check_refusal(found.status_code, found.headers, found.content)
        good = client.post(secure.url, content=LIST, headers={"content-type": "application/json", **bearer(token())})
        assert (good.status_code, good.json()["id"]) == (200, 7)


@pytest.mark.parametrize("what", BAD)
def test_the_handshake_of_a_websocket_is_refused_alike(node: Node, what: str) -> None:
    with node.connect() as client:
        client.sendall(handshake(BAD[what]))
        answer = read_answer(client)
    check_refusal(answer.status, answer.headers, answer.body)


def test_a_page_is_refused_in_a_line_of_text(node: Node) -> None:
    with node.connect() as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = read_answer(client)
    assert (answer.status, answer.headers["content-type"]) == (401, "text/plain; charset=utf-8")


# Made when they are used: a token that is nearly too old must not wait for other tests.
GOOD: dict[str, tuple[str, Callable[[], dict[str, str]]]] = {
    "a key": ("bob", lambda: bearer("bob's secret")),
    "an API key": ("bob", lambda: {"X-Api-Key": "bob's secret"}),
    "RS256": ("ann", lambda: bearer(token("RS256"))),
    "ES256": ("ann", lambda: bearer(token("ES256"))),
    "EdDSA": ("ann", lambda: bearer(token("EdDSA"))),
    "no key id": ("ann", lambda: bearer(token(head={}))),
    "expired just now": ("ann", lambda: bearer(token(exp=time.time() - 10))),
    "for several": ("carl", lambda: bearer(token(sub="carl", aud=["other", AUDIENCE]))),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_known_user_owns_what_they_create(node: Node, what: str) -> None:
    user, make = GOOD[what]
    headers = make()
    made = node.send(b'{"jsonrpc":"2.0","id":1,"method":"tasks.create","params":{"name":"t"}}', headers).json["result"]
    request = {"jsonrpc": "2.0", "id": 1, "method": "tasks.get", "params": {"task_id": made["id"]}}
    assert node.send(json.dumps(request).encode(), headers).json["result"]["user_id"] == user


def test_the_servers_own_client_is_told_the_typed_error(node: Node) -> None:
    import trio
    from apflow_protocol import TasksListParams
    from apflow_protocol.client import NodeClient
    from apflow_protocol.errors import UnauthorizedError

    from protogen_runtime.io.client import connect

    async def main() -> None:
        async with connect(node.url, NodeClient, headers={"authorization": "Bearer wrong"}) as client:
            with pytest.raises(UnauthorizedError):
                await client.tasks_list(TasksListParams())

    trio.run(main)


# --- tokens -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    (tmp_path / "keys.json").write_text(key_set(*PUBLIC.values()))
    return Tokens(JwtSettings(key_set=str(tmp_path / "keys.json"), issuer=ISSUER, audience=AUDIENCE))


def public_pem() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed_with_the_public_key() -> str:
    """HS256 whose secret is the public key, as PyJWT itself refuses to make it."""
    import base64
    import hashlib
    import hmac

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 600}
    text = part({"alg": "HS256", "kid": "r"}) + b"." + part(claims)
    digest = hmac.new(public_pem(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


def tampered() -> str:
    head, claims, signature = token().split(".")
    other = token(sub="root").split(".")[1]
    return f"{head}.{other}.{signature}" if other != claims else ""


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: token(exp=time.time() - 31), "the token has expired"),
    "not yet": (lambda: token(nbf=time.time() + 60), "the token is not valid yet"),
    "no expiry": (lambda: token(exp=None), "the token is not valid"),
    "an expiry that is none": (lambda: token(exp="never"), "the token is not valid"),
    "another issuer": (lambda: token(iss="https://evil.example"), "the token is for somebody else"),
    "no issuer": (lambda: token(iss=None), "the token is not valid"),
    "another audience": (lambda: token(aud="billing"), "the token is for somebody else"),
    "no audience": (lambda: token(aud=None), "the token is not valid"),
    "no user": (lambda: token(sub=None), "the token is not valid"),
    "an empty user": (lambda: token(sub=""), "the token names no user"),
    "a long user": (lambda: token(sub="x" * 256), "the token names no user"),
    "a key of somebody else": (
        lambda: token("ES256", key=ec.generate_private_key(ec.SECP256R1())),
        "the token is not valid",
    ),
    "a key id that is unknown": (lambda: token(head={"kid": "x"}), "the token is not valid"),
    "an extension that must be understood": (
        lambda: token(head={"crit": ["b64"], "kid": "e"}),
        "the token is not valid",
    ),
    "the key id of another algorithm": (lambda: token("ES256", head={"kid": "r"}), "the token is not valid"),
    "no signature": (lambda: jwt.encode({"sub": "ann"}, "", algorithm="none"), "the token is not valid"),
    "a shared secret": (lambda: token("HS256", key="x" * 64, head={"kid": "r"}), "the token is not valid"),
    "the public key as the secret": (signed_with_the_public_key, "the token is not valid"),
    "another algorithm of the same key": (lambda: token("PS256", key=RSA, head={"kid": "r"}), "the token is not valid"),
    "other claims": (tampered, "the token is not valid"),
    "a deep head": (lambda: "W1tb" * 3000 + ".e30.e30", "the token is not valid"),
    "no base64": (lambda: "!.!.!", "the token is not valid"),
    "no text": (lambda: "\xff.\xff.\xff", "the token is not valid"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_tokens_that_are_not_taken(tokens: Tokens, what: str) -> None:
    make, reason = REFUSED[what]
    with pytest.raises(BadToken) as refused:
        tokens.user_of(make().encode("latin-1"))
    assert str(refused.value) == reason


def test_a_token_that_was_good_expires(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(key_set(PUBLIC["ES256"]))
    now = time.time()
    clock = [now]
    settings = JwtSettings(key_set=str(tmp_path / "keys.json"), issuer=ISSUER, audience=AUDIENCE, leeway_seconds=0)
    tokens = Tokens(settings, wall_clock=lambda: clock[0])
    given = token(exp=now + 2).encode()
    assert tokens.user_of(given) == "ann"
    # Found among those of before, until its time has come; then its claims are read again.
    clock[0] = now + 1.9
    assert tokens.user_of(given) == "ann"
    late = token(exp=now - 1).encode()
    with pytest.raises(BadToken, match="expired"):
        tokens.user_of(late)


def test_keys_are_read_again_when_their_file_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "keys.json"
    file.write_text(key_set(PUBLIC["ES256"]))
    tokens = Tokens(JwtSettings(key_set=str(file), issuer=ISSUER, audience=AUDIENCE))
    old, new = token("ES256").encode(), token("EdDSA").encode()
    assert tokens.user_of(old) == "ann"

    def replace(text: str) -> None:
        (tmp_path / "next.json").write_text(text)
        (tmp_path / "next.json").replace(file)

    replace("half of a fi")
    assert tokens.user_of(old) == "ann"
    assert "the keys of before stay" in caplog.text
    replace(key_set(PUBLIC["EdDSA"]))
    assert tokens.user_of(new) == "ann"
    with pytest.raises(BadToken):
        tokens.user_of(old)
    file.unlink()
    assert tokens.user_of(new) == "ann"


WEAK = {**RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is no key set"),
        ("[]", "is no key set"),
        ('{"keys": {}}', "is no key set"),
        (key_set(), "has no public key"),
        (key_set({"kty": "oct", "k": "c2VjcmV0"}), "has no public key"),
        (key_set(WEAK), "has no public key"),
        (key_set({**PUBLIC["RS256"], "use": "enc"}), "has no public key"),
        (key_set({**PUBLIC["RS256"], "alg": "HS256"}), "has no public key"),
        (key_set({**PUBLIC["RS256"], "key_ops": ["sign"]}), "has no public key"),
        (key_set({**PUBLIC["ES256"], "crv": "P-521"}), "has no public key"),
        (key_set({**PUBLIC["ES256"], "x": 5}), "has no public key"),
        (key_set({**PUBLIC["ES256"], "x": "AAAA"}), "has no public key"),
        (key_set({**PUBLIC["EdDSA"], "kty": ["OKP"]}), "has no public key"),
        ('{"keys": [7, null]}', "has no public key"),
    ],
)
def test_files_that_are_no_key_set(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(BadKeySet) as refused:
        read_key_set(tmp_path / "keys.json")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('key_set = "none.json"\nissuer = "i"\naudience = "a"', "access.jwt.key_set: cannot read none.json"),
        ('key_set = "none.json"\nissuer = "i"', "missing required field `audience`"),
        ('key_set = "none.json"\nissuer = ""\naudience = "a"', "Expected `str` of length >= 1"),
        ('key_set = "none.json"\nissuer = "i"\naudience = "a"\nalgorithms = ["none"]', "unknown field `algorithms`"),
        ('key_set = "none.json"\nissuer = "i"\naudience = "a"\nleeway_seconds = -1', "Expected `float` >= 0"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / "node.toml").write_text(f"[access.jwt]\n{config}\n")
    with pytest.raises(CannotServe) as refused:
        check(read_settings(tmp_path / "node.toml", Settings))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_node_without_its_keys_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('[access.jwt]\nkey_set = "none.json"\nissuer = "i"\naudience = "a"\n')
    command = [*SERVE, "--config", "node.toml", "--port", "0"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "access.jwt.key_set: cannot read none.json: No such file or directory" in found.stderr
