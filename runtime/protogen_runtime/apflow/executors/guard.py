"""Guard: which addresses the node may dial on behalf of others.

A name is resolved once, its addresses are checked, and the checked address is dialled: what a name says a moment later
(DNS rebinding), and how an address was written (decimal, octal, hex, IPv6-mapped), makes no difference. Knows nothing
of HTTP beyond the shape of a URL.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import trio

Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port to the texts of addresses; OSError where there are none."""

_SPECIAL: Final = tuple(
    (ip_network(network), reason)
    for network, reason in (
        # IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates). Written out, because what
        # `ipaddress` calls global differs between versions of Python.
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local, where clouds keep metadata"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "for protocol assignments"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Public by number, but answered by the host of a virtual machine in Azure alone.
        ("168.63.129.16/32", "a cloud's host"),
        # IANA IPv6 Special-Purpose Address Registry, within what is global unicast (2000::/3).
        ("2001::/23", "for protocol assignments"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4, which leads to an IPv4 address"),
        ("3fff::/20", "for documentation"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """The node does not go there; the text says where and why, and no address that a name resolves to."""


class Guard:
    """Decides where connections may go: to public addresses, and to those in `allowed_networks`."""

    def __init__(
        self,
        *,
        allow_private_addresses: bool = False,
        allowed_networks: Sequence[str] = (),
        resolve: Resolve | None = None,
    ) -> None:
        """ValueError where a network is none, such as "10.0.0.1/8", whose host bits are set."""
        self._allow_all = allow_private_addresses
        self._allowed: list[IPv4Network | IPv6Network] = [ip_network(network) for network in allowed_networks]
        self._resolve = resolve or resolve_name

    def check_url(self, url: str) -> None:
        """Raise Refused where a URL is not one of HTTP to a named host; whether the host is allowed, dialling tells."""
        if any(ord(char) <= 32 or ord(char) == 127 for char in url) or "\\" in url:
            raise Refused("the URL holds a space, a control character or a backslash; percent-encode it")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as reason:
            raise Refused(f"the URL cannot be read: {reason}") from None
        if parts.scheme not in ("http", "https"):
            raise Refused(f"the URL begins with {parts.scheme or 'no scheme'}; only http and https are served")
        if not host or port == 0:
            raise Refused("the URL names no host or a port of 0; write http://host/path")
        if parts.username is not None or parts.password is not None:
            raise Refused("the URL holds credentials; send them in a header")

    async def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host to the addresses to dial, in order. Raises Refused where any of them is not allowed: a public
        name with a private address is a trap, or belongs in `allowed_networks`; OSError where there are none.
        """
        texts = await self._resolve(host, port)
        for text in texts:
            reason = self.forbidden(text)
            if reason is not None:
                raise Refused(f"{host} leads to an address that is not public ({reason}); the operator may allow it")
        return list(texts)

    def forbidden(self, text: str) -> str | None:
        """Why an address may not be dialled; None where it may."""
        address = ip_address(text)
        if self._allow_all or any(
            address in network for network in self._allowed if network.version == address.version
        ):
            return None
        return special(address)


def special(address: Address) -> str | None:
    """What an address that is not public is for; None for a public one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return special(address.ipv4_mapped)
        if address in _NAT64:
            return special(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.scope_id is not None or address not in _GLOBAL_UNICAST:
            return "loopback" if address.is_loopback else "private, link-local or reserved"
    return next(
        (reason for network, reason in _SPECIAL if address.version == network.version and address in network), None
    )


async def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system; numbers in all the forms that it knows come out as addresses, too."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    # Each address once, in the order of the system, which prefers what it can reach.
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
