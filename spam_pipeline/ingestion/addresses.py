"""Internet addresses: one canonical spelling per address, and the network that an address belongs to.

The common spelling of IPv4 is recognised by vectorised expressions; everything else goes through `ipaddress`, once per
distinct value. Nothing is hashed here.
"""

from ipaddress import AddressValueError, IPv6Address, IPv6Network

import polars as pl

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"
_LONGEST_IPV6 = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
_IPV6_NETWORK_BITS = 48


def canonical_addresses(values: pl.Series) -> pl.Series:
    """Spell IPv4 as a dotted quad, IPv6 compressed in lower case, and an IPv4-mapped IPv6 address as its IPv4.

    Null stays null; text that is not an address becomes null.
    """
    text = pl.col("value")
    known = pl.DataFrame({"value": values}).with_columns(is_ipv4=text.str.contains(_IPV4))
    others = known.filter(~pl.col("is_ipv4"))["value"].unique()
    if others.is_empty():
        return values
    spelled = pl.DataFrame(
        {"value": others, "spelled": [_canonical_ipv6(value) for value in others]},
        schema_overrides={"spelled": pl.String},
    )
    joined = known.join(spelled, on="value", how="left", maintain_order="left")
    return joined.select(pl.when("is_ipv4").then(text).otherwise("spelled")).to_series().alias(values.name)


def networks_of(addresses: pl.Series) -> pl.Series:
    """Return the network of each canonical address: /24 for IPv4, /48 for IPv6. Null stays null.

    >>> networks_of(pl.Series(["198.51.100.7", "2001:db8:1:2::9", None])).to_list()
    ['198.51.100.0/24', '2001:db8:1::/48', None]
    """
    text = pl.col("value")
    known = pl.DataFrame({"value": addresses}).with_columns(is_ipv6=text.str.contains(":", literal=True))
    ipv4 = text.str.strip_chars_end("0123456789") + "0/24"
    others = known.filter(pl.col("is_ipv6"))["value"].unique()
    if others.is_empty():
        return known.select(ipv4).to_series().alias(addresses.name)
    networks = pl.DataFrame({"value": others, "network": [_ipv6_network(value) for value in others]})
    joined = known.join(networks, on="value", how="left", maintain_order="left")
    return joined.select(pl.when("is_ipv6").then("network").otherwise(ipv4)).to_series().alias(addresses.name)


def _canonical_ipv6(value: str) -> str | None:
    if len(value) > _LONGEST_IPV6 or "%" in value:  # a zone is meaningful on one machine only
        return None
    try:
        address = IPv6Address(value)
    except AddressValueError:
        return None
    return str(address.ipv4_mapped or address)


def _ipv6_network(value: str) -> str:
    return str(IPv6Network((value, _IPV6_NETWORK_BITS), strict=False))
