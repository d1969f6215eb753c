"""Which addresses are never dialled, whatever a name resolves to."""

from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Always refused: no receiver lives there, but cloud credentials do.
_NEVER = {
    ip_network(network): why
    for why, networks in {
        "metadata service": (
            "169.254.169.254/32",  # AWS, Azure, Google, OpenStack and others
            "169.254.170.2/32",  # AWS: credentials of containers
            "169.254.170.23/32",  # AWS: credentials of pods
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure: the host's agent
            "192.0.0.192/32",  # Oracle
            "fd00:ec2::254/128",  # AWS
            "fd00:ec2::23/128",  # AWS: credentials of pods
            "fd20:ce::254/128",  # Google
            "fd00:42::42/128",  # Scaleway
        ),
        "link-local": ("169.254.0.0/16", "fe80::/10"),
        "unspecified": ("0.0.0.0/8", "::/128"),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "reserved": ("240.0.0.0/4",),
    }.items()
    for network in networks
}

_IPV4_COMPATIBLE = IPv6Network("::/96")
_NO_HOSTS = IPv4Network("0.0.0.0/8")
_IPV4_AT_THE_END = (
    IPv6Network("::ffff:0:0:0/96"),  # stateless translation
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of one's own network
)
_LOW_32_BITS = 0xFFFF_FFFF


class AddressGuard:
    """Refuses addresses where no receiver belongs, and those that the operator names.

    Loopback and private addresses are allowed: receivers usually live inside the cluster.
    """

    def __init__(self, blocked_networks: Iterable[Network] = ()) -> None:
        named = {network: f"in blocked network {network}" for network in blocked_networks}
        self._refused = _NEVER | named

    def refuses(self, ip: str) -> str | None:
        """Say why an address is not to be dialled, or None if it may be.

        An IPv4 address inside of an IPv6 one counts as well.
        """
        try:
            address = ip_address(ip)
        except ValueError:
            return "not an address"
        return next(self._objections(address), None)

    def _objections(self, address: Address) -> Iterator[str]:
        for spelling in (address, *_embedded(address)):
            for network, why in self._refused.items():
                if spelling in network:
                    yield why


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Find the IPv4 addresses at which packets to an IPv6 address may come out."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if _ends_in_ipv4(address):
        yield IPv4Address(int(address) & _LOW_32_BITS)


def _ends_in_ipv4(address: IPv6Address) -> bool:
    # The first of ::/96 are `::` and `::1`, which are IPv6's own; 0.0.0.0/8 has no hosts to reach.
    if address in _IPV4_COMPATIBLE:
        return IPv4Address(int(address)) not in _NO_HOSTS
    return any(address in prefix for prefix in _IPV4_AT_THE_END)
