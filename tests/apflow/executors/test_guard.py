"""Where the node may go on behalf of others: only to public addresses, however the way there is written."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from executor_rig import Names, Web, answer, perform, redirect, web

from protogen_runtime.apflow.executors import ExecutorFailed, Guard, Refused
from protogen_runtime.apflow.executors.guard import special

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "64:ff9b::8.8.8.8",
]
SPECIAL = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16", "203.0.113.9", "192.88.99.1"),
    *(
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%lo",
        "fc00::1",
        "fd00:ec2::254",
    ),
    *(
        "fec0::1",
        "ff02::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "3fff::1",
    ),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_dialled(address: str) -> None:
    assert Guard().forbidden(address) is None


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_not_dialled(address: str) -> None:
    assert Guard().forbidden(address) is not None
    assert Guard(allow_private_addresses=True).forbidden(address) is None


def test_allowed_networks_open_only_themselves() -> None:
    guard = Guard(allowed_networks=["10.1.0.0/16", "fd00::/64"])
    allowed = [
        address
        for address in ("10.1.2.3", "10.2.0.1", "fd00::1", "fd01::1", "127.0.0.1")
        if not guard.forbidden(address)
    ]
    assert allowed == ["10.1.2.3", "fd00::1"]


def test_networks_with_host_bits_are_mistakes() -> None:
    with pytest.raises(ValueError, match="has host bits set"):
        Guard(allowed_networks=["10.0.0.1/8"])


def test_reasons_say_what_an_address_is_for() -> None:
    from ipaddress import ip_address

    assert special(ip_address("::ffff:169.254.169.254")) == "link-local, where clouds keep metadata"


FORBIDDEN: dict[str, Callable[[Web], str]] = {
    "loopback": lambda it: it.url(),
    "loopback elsewhere": lambda it: it.url(host="127.9.9.9"),
    "zero": lambda it: it.url(host="0.0.0.0"),
    "short": lambda it: it.url(host="127.1"),
    "bare zero": lambda it: it.url(host="0"),
    "decimal": lambda it: it.url(host="2130706433"),
    "octal": lambda it: it.url(host="0177.0.0.1"),
    "octal number": lambda it: it.url(host="017700000001"),
    "hex": lambda it: it.url(host="0x7f.0.0.1"),
    "hex number": lambda it: it.url(host="0x7f000001"),
    "mixed": lambda it: it.url(host="0x7f.1"),
    "ipv6 loopback": lambda it: it.url(host="[::1]"),
    "ipv6 mapped": lambda it: it.url(host="[::ffff:127.0.0.1]"),
    "ipv6 mapped hex": lambda it: it.url(host="[::ffff:7f00:1]"),
    "ipv6 compatible": lambda it: it.url(host="[::127.0.0.1]"),
    "ipv6 unspecified": lambda it: it.url(host="[::]"),
    "userinfo": lambda it: f"http://public.example@127.0.0.1:{it.port}/",
    "userinfo with password": lambda it: f"http://public.example:80@127.0.0.1:{it.port}/",
    "fragment before host": lambda it: f"http://127.0.0.1:{it.port}#@public.example/",
    "backslash": lambda it: f"http://public.example\\@127.0.0.1:{it.port}/",
    "name of a private address": lambda it: it.url(host="private.example"),
    "name in capitals with a dot": lambda it: it.url(host="PRIVATE.example."),
    "localhost": lambda it: it.url(host="localhost"),
    "name of metadata": lambda it: "http://metadata.example/latest/meta-data/",
    "one private address among others": lambda it: it.url(host="both.example"),
    "full width digits": lambda it: it.url(
        host="".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in "127.0.0.1")
    ),
    "full width dots": lambda it: it.url(host="127。0。0。1"),
    "percent-encoded": lambda it: it.url(host="%31%32%37.0.0.1"),
    "tab in the host": lambda it: it.url(host="127.0.0\t.1"),
    "line feed": lambda it: it.url("/ HTTP/1.1\r\nHost: x\r\n\r\nGET /"),
    "file": lambda it: "file:///etc/passwd",
    "gopher": lambda it: f"gopher://127.0.0.1:{it.port}/_GET%20/",
    "unix": lambda it: "http+unix://%2Fvar%2Frun%2Fdocker.sock/containers/json",
    "no scheme": lambda it: f"//127.0.0.1:{it.port}/",
    "scheme in capitals": lambda it: f"HTTP://127.0.0.1:{it.port}/",
    "unix socket's host": lambda it: "http:///var/run/docker.sock",
}


@pytest.fixture
def names() -> Any:
    return Names(
        private_example=["127.0.0.1"],
        PRIVATE_example_=["127.0.0.1"],
        private_example_=["127.0.0.1"],
        localhost=["127.0.0.1 ::1"],
        metadata_example=["169.254.169.254"],
        both_example=["198.51.100.1 127.0.0.1"],
    )


@pytest.mark.parametrize("form", FORBIDDEN)
def test_forbidden_urls_reach_nobody(form: str, names: Names) -> None:
    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(names)
        async with web(lambda _: answer("reached")) as canary:
            with pytest.raises(ExecutorFailed) as caught:
                await perform("http", {"url": FORBIDDEN[form](canary), "timeout": 5})
            assert canary.connections == 0
        assert "Traceback" not in str(caught.value)
        # What a name resolves to is nobody's business outside.
        assert "169.254" not in str(caught.value)

    trio.run(main)


def test_without_the_guard_most_forms_reach_the_canary(names: Names) -> None:
    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(names)
        reached = set()
        async with web(lambda _: answer("reached")) as canary:
            for form, url in FORBIDDEN.items():
                with suppress(ExecutorFailed):
                    await perform("http", {"url": url(canary), "timeout": 1}, allow_private_addresses=True)
                if canary.seen:
                    reached.add(form)
                    canary.seen.clear()
        assert reached >= {
            "loopback",
            "decimal",
            "octal number",
            "hex",
            "mixed",
            "ipv6 mapped",
            "name of a private address",
        }
        assert len(reached) >= 14

    trio.run(main)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:{port}/", "http://private.example:{port}/", "http://2130706433:{port}/", "//127.0.0.1:{port}/"],
)
def test_redirects_are_checked_again(status: int, to: str, names: Names) -> None:
    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(names)
        async with web(lambda _: answer("reached")) as canary:
            target = to.format(port=canary.port)
            async with web(lambda _: redirect(target, status), host="127.0.0.2") as front:
                inputs = {"url": front.url(host="127.0.0.2"), "method": "POST", "json": {}}
                with pytest.raises(ExecutorFailed, match="not public"):
                    await perform("http", inputs, allowed_networks=("127.0.0.2/32",))
                assert (front.connections, canary.connections) == (1, 0)

    trio.run(main)


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "gopher://127.0.0.2/", "http://u:p@127.0.0.2/", "http://127.0.0.2:0/"]
)
def test_redirects_to_other_schemes_end_there(to: str) -> None:
    async def main() -> None:
        async with web(lambda _: redirect(to), host="127.0.0.2") as front:
            with pytest.raises(ExecutorFailed):
                await perform("http", {"url": front.url(host="127.0.0.2")}, allowed_networks=("127.0.0.2/32",))
            assert front.connections == 1

    trio.run(main)


def test_a_chain_of_redirects_that_ends_in_private_is_cut() -> None:
    async def main() -> None:
        async with web(lambda _: answer("reached")) as canary:
            steps = ["/2", "/3", canary.url()]

            def respond(seen: Any) -> Any:
                return redirect(steps.pop(0))

            async with web(respond, host="127.0.0.2") as front:
                with pytest.raises(ExecutorFailed, match="not public"):
                    await perform("http", {"url": front.url(host="127.0.0.2")}, allowed_networks=("127.0.0.2/32",))
                assert (len(front.seen), canary.connections) == (3, 0)

    trio.run(main)


def test_redirects_without_end_are_cut() -> None:
    async def main() -> None:
        async with web(lambda _: redirect("/again"), host="127.0.0.2") as front:
            with pytest.raises(ExecutorFailed, match="too many redirects"):
                await perform("http", {"url": front.url(host="127.0.0.2")}, allowed_networks=("127.0.0.2/32",))
            assert len(front.seen) == 6

    trio.run(main)


def test_a_name_that_changes_between_check_and_dial_is_asked_once() -> None:
    names = Names(rebinding_example=["127.0.0.2", "127.0.0.1"])

    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(names)
        async with (
            web(lambda _: answer("good"), host="127.0.0.2") as front,
            web(lambda _: answer("reached"), port=front.port) as canary,
        ):
            result = await perform(
                "http", {"url": front.url(host="rebinding.example")}, allowed_networks=("127.0.0.2/32",)
            )
            assert (result["json"], canary.connections, names.looks) == ("good", 0, ["rebinding.example"])
            assert front.seen[0].headers["host"] == f"rebinding.example:{front.port}"

    trio.run(main)


def test_a_name_that_changes_after_a_redirect_is_refused() -> None:
    names = Names(rebinding_example=["127.0.0.2", "127.0.0.1"])

    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(names)
        async with (
            web(lambda _: redirect("/again"), host="127.0.0.2") as front,
            web(lambda _: answer("reached"), port=front.port) as canary,
        ):
            with pytest.raises(ExecutorFailed, match="not public"):
                await perform("http", {"url": front.url(host="rebinding.example")}, allowed_networks=("127.0.0.2/32",))
            assert (front.connections, canary.connections) == (1, 0)

    trio.run(main)


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with web(lambda _: answer("reached")) as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url())
            async with web(lambda _: answer("direct"), host="127.0.0.2") as front:
                result = await perform("http", {"url": front.url(host="127.0.0.2")}, allowed_networks=("127.0.0.2/32",))
            assert (result["json"], proxy.connections) == ("direct", 0)

    trio.run(main)


def test_names_that_do_not_resolve_are_one_line() -> None:
    async def no_names(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    async def main() -> None:
        guard = Guard(resolve=no_names)
        with pytest.raises(OSError, match="no such name"):
            await guard.addresses("nowhere.example", 80)

    trio.run(main)


@pytest.mark.parametrize(
    "url", ["http://", "http://:80/", "http://[::1", "http://a:99999/", "http://a b/", "http://a/\x00", ""]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Guard().check_url(url)
