from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from spam_pipeline.ingestion.addresses import canonical_addresses, networks_of

GROUP = st.one_of(st.just(0), st.integers(0, 0xFFFF))
IPV6 = st.lists(GROUP, min_size=8, max_size=8).map(
    lambda groups: str(IPv6Address(":".join(f"{group:x}" for group in groups)))
)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    lambda value: IPv6Address(value).exploded,
    lambda value: f"{value}:",
    lambda value: f"0{value}",
)


def canonical(text: str) -> str | None:
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    return str(address.ipv4_mapped or address)


@given(addresses=st.lists(IPV6, max_size=8), spelling=st.sampled_from(SPELLINGS))
@example(addresses=["a:b:c:d:e:f::", "a:b:c:d:e:f:0:1", "a::", "::a", "::", "::ffff:a:b", "a:b::c:d:0:e"], spelling=str)
def test_addresses_have_the_spelling_and_the_networks_of_the_standard_library(
    addresses: list[str], spelling: Callable[[str], str]
) -> None:
    spelled = [spelling(address) for address in addresses]
    found = canonical_addresses(pl.Series(spelled, dtype=pl.String))
    assert found.to_list() == [canonical(text) for text in spelled]
    of_ipv6 = found.filter(found.str.contains(":", literal=True))
    assert networks_of(of_ipv6).to_list() == [str(IPv6Network((text, 48), strict=False)) for text in of_ipv6]
