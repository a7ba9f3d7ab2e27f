"""Which addresses a host that a plugin was granted may stand for, so that a name on the internet cannot lead inside."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_LOOPBACK4 = IPv4Network("127.0.0.0/8")
_LOOPBACK6 = IPv6Address("::1")
_LOCAL4 = tuple(map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")))
_LOCAL6 = tuple(map(IPv6Network, ("fc00::/7", "fe80::/10")))

# IANA's special-purpose registries, written out: what `ipaddress.is_global` says changed between Python versions.
_SPECIAL4 = (
    *(_LOOPBACK4, *_LOCAL4),
    *map(
        IPv4Network,
        (
            *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # a public number, but on Azure the host's own agent
        ),
    ),
)
_UNICAST6 = IPv6Network("2000::/3")
# Documentation, protocol assignments (with Teredo, which holds an IPv4 address) and 6to4 (which does too).
_SPECIAL6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether the address is one host on the internet, however it is written.

    An IPv4 address inside an IPv6 one (IPv4-mapped, 6to4, Teredo) is not public. NAT64's well-known prefix is as public
    as the address inside: on a network with IPv6 only it is how the rest of the internet is reached.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST6 and not any(address in network for network in _SPECIAL6)


def is_loopback(address: Address) -> bool:
    """Whether the address is this computer."""
    return address in _LOOPBACK4 if isinstance(address, IPv4Address) else address == _LOOPBACK6


def is_local(address: Address) -> bool:
    """Whether the address is on a network of one's own: private, link-local or a provider's shared space."""
    networks: tuple[IPv4Network | IPv6Network, ...] = _LOCAL4 if isinstance(address, IPv4Address) else _LOCAL6
    return any(address in network for network in networks)


def may_stand_for(host: str, public_name: bool, address: Address) -> bool:
    """Whether a granted host may be reached at this address.

    Args:
        host: As the permission has it: a name in small letters or an IPv4 address.
        public_name: Whether the user saw it as a host on the internet rather than one of their own network's.
        address: What the name was resolved to.
    """
    if host.rpartition(".")[2].isdigit():
        return address == IPv4Address(host) and not address.is_multicast and not address.is_unspecified
    if host == "localhost" or host.endswith(".localhost"):
        return is_loopback(address)
    return is_public(address) or (not public_name and is_local(address))
