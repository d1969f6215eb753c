"""What the address guard promises."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relay.webhook.address_guard import AddressGuard

GUARD = AddressGuard()

v4 = st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address)))
v6 = st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address)))


def inside(*networks: str) -> st.SearchStrategy[str]:
    """Pick addresses of networks."""
    return st.sampled_from(networks).flatmap(lambda n: st.ip_addresses(network=n)).map(str)


def disguises(address: IPv4Address) -> dict[str, str]:
    """Spell an IPv4 address as each of the IPv6 addresses that lead to it."""
    number = int(address)
    numbers = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "nat64": 0x64FF9B << 96 | number,
        "local nat64": 0x64FF9B << 96 | 1 << 80 | number,
        "6to4": 0x2002 << 112 | number << 80 | 0xABCD,
        "teredo server": 0x20010000 << 96 | number << 64 | 0xFFFF,
        "teredo client": 0x20010000 << 96 | 0x01020304 << 64 | number ^ 0xFFFF_FFFF,
    }
    return {name: str(IPv6Address(value)) for name, value in numbers.items()}


NEVER_V4 = ("169.254.0.0/16", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4")
NEVER_V6 = ("fe80::/10", "ff00::/8")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "metadata service"),
        ("169.254.170.2", "metadata service"),
        ("fd00:ec2::254", "metadata service"),
        ("fd20:ce::254", "metadata service"),
        ("fd00:42::42", "metadata service"),
        ("100.100.100.200", "metadata service"),
        ("168.63.129.16", "metadata service"),
        ("192.0.0.192", "metadata service"),
        ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::ffff:169.254.169.254", "metadata service"),
        ("64:ff9b::a9fe:a9fe", "metadata service"),
        ("2002:a9fe:a9fe::1", "metadata service"),
    ],
)
def test_some_addresses_are_never_dialled(address: str, why: str) -> None:
    """Where no receiver lives but something precious may, and the reason is told."""
    assert why == GUARD.refuses(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd12:3456::1",
        "192.0.2.1",
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:10.0.0.1",
        "64:ff9b::808:808",
    ],
)
def test_receivers_may_live_anywhere_else(address: str) -> None:
    """Loopback and private addresses are where they usually do."""
    assert GUARD.refuses(address) is None


@given(inside(*NEVER_V4, *NEVER_V6))
def test_the_networks_are_covered_whole(address: str) -> None:
    """From the first address to the last."""
    assert GUARD.refuses(address) is not None


@given(inside(*NEVER_V4[:1], *NEVER_V4[2:]))
def test_disguises_don_t_help(address: str) -> None:
    """An address is refused inside of an IPv6 one, too."""
    assert not {
        name
        for name, spelling in disguises(IPv4Address(address)).items()
        if GUARD.refuses(spelling) is None
    }


@given(v4, st.integers(0, 32))
def test_named_networks_are_refused(address: IPv4Address, prefix: int) -> None:
    """An operator's own network is refused in every disguise."""
    network = IPv4Network((address, prefix), strict=False)
    guard = AddressGuard([network])
    assert guard.refuses(str(address)) is not None
    # The lowest IPv6 addresses are IPv6's own: 0.0.0.0/8 can't hide in them.
    assume(address not in IPv4Network("0.0.0.0/8"))
    assert all(guard.refuses(spelling) for spelling in disguises(address).values())


@given(v6, st.integers(0, 128))
def test_named_ipv6_networks_are_refused(address: IPv6Address, prefix: int) -> None:
    """Of either family."""
    network = IPv6Network((address, prefix), strict=False)
    assert AddressGuard([network]).refuses(str(address)) is not None


@given(v4)
def test_only_what_is_named_is_refused_in_addition(address: IPv4Address) -> None:
    """A blocked network costs nobody else their address."""
    network = ip_network("192.0.2.0/24")
    if address not in network:
        assert GUARD.refuses(str(address)) == AddressGuard([network]).refuses(str(address))


def test_loopback_is_refused_where_it_is_named() -> None:
    """The reason names the network."""
    guard = AddressGuard([ip_network("127.0.0.0/8"), ip_network("::1/128")])
    assert "in blocked network 127.0.0.0/8" == guard.refuses("127.0.0.1")
    assert "in blocked network 127.0.0.0/8" == guard.refuses("::ffff:127.0.0.1")
    assert "in blocked network ::1/128" == guard.refuses("::1")


@given(st.text())
def test_what_is_no_address_is_refused(text: str) -> None:
    """Any text has an answer."""
    try:
        IPv4Address(text)
    except ValueError:
        assume(":" not in text)
        assert "not an address" == GUARD.refuses(text)


@pytest.mark.parametrize("text", ["", "localhost", "0x7f000001", "127.1", "127.0.0.1:80", ":::"])
def test_numbers_that_some_take_for_addresses_are_refused(text: str) -> None:
    """The guard judges what is dialled, which is always written out."""
    assert "not an address" == GUARD.refuses(text)
