"""Internet addresses: one canonical spelling per address, and the network that an address belongs to.

Common canonical spellings are recognised by regular expressions; everything else goes through `ipaddress`. Nothing is hashed here.
"""

from ipaddress import AddressValueError, IPv6Address, IPv6Network

import polars as pl

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
_GROUP = "[1-9a-f][0-9a-f]{0,3}"  # not zero: then `::` can only stand for all the zeros there are
_IPV6 = "|".join(
    [f"(?:{_GROUP}:){{7}}{_GROUP}"]
    + [f"(?:{_GROUP}:){{{before}}}:(?:{_GROUP}(?::{_GROUP}){{0,{5 - before}}})?" for before in range(1, 6)]
)
_CANONICAL = f"^(?:{_IPV4}|{_IPV6})$"
_NETWORK_OF_IPV6 = f"^({_GROUP}:{_GROUP}:{_GROUP}):"

_LONGEST_IPV6 = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
_IPV6_NETWORK_BITS = 48


def canonical_addresses(values: pl.Series) -> pl.Series:
    """Spell IPv4 as a dotted quad, IPv6 compressed in lower case, and an IPv4-mapped IPv6 address as its IPv4.

    Null stays null; text that is not an address becomes null.
    """
    unchanged = pl.when(pl.col("value").str.contains(_CANONICAL)).then("value")
    distinct = pl.DataFrame({"value": values.unique().drop_nulls()}).with_columns(spelled=unchanged)
    if not distinct["spelled"].null_count():
        return values
    others = distinct.filter(pl.col("spelled").is_null())["value"]
    spelled = pl.DataFrame({"value": others, "spelled": [_canonical_ipv6(value) for value in others]}, distinct.schema)
    known = pl.concat([distinct.drop_nulls("spelled"), spelled])
    joined = pl.DataFrame({"value": values}).join(known, on="value", how="left", maintain_order="left")
    return joined["spelled"].alias(values.name)


def networks_of(addresses: pl.Series) -> pl.Series:
    """Return the network of each canonical address: /24 for IPv4, /48 for IPv6. Null stays null.

    >>> networks_of(pl.Series(["198.51.100.7", "2001:db8:1:2::9", None])).to_list()
    ['198.51.100.0/24', '2001:db8:1::/48', None]
    """
    text = pl.col("value")
    of_ipv6 = text.str.extract(_NETWORK_OF_IPV6) + "::/48"
    of_ipv4 = text.str.strip_chars_end("0123456789") + "0/24"
    network = pl.when(text.str.contains(":", literal=True)).then(of_ipv6).otherwise(of_ipv4)
    networks = pl.DataFrame({"value": addresses}).select(network.alias(addresses.name)).to_series()
    if networks.null_count() == addresses.null_count():
        return networks
    others = (networks.is_null() & addresses.is_not_null()).arg_true()
    return networks.scatter(others, [_ipv6_network(value) for value in addresses.gather(others)])


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
