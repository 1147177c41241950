"""Countries of the simulated platform: size, time zone, prices, and hours of listening.

Addresses come from blocks of an access provider in the country, so that a play's network, country and owner agree.
Listeners are in `listeners`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.randomness import Indices, chance, draw

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True)
class Country:
    """A market. Money is in minor units of the currency, per account and month.

    Its IPv4 addresses start with `first_octet` and one of `second_octets`, its IPv6 addresses with `ipv6`.
    """

    code: str
    weight: float
    utc_offset_hours: int
    currency: str
    premium_income_minor: int
    free_income_minor: int
    first_octet: int
    second_octets: range
    ipv6: str


COUNTRIES: Final = (
    Country("US", 26, -6, "USD", 880, 95, 73, range(8), "2603:2000"),
    Country("GB", 9, 0, "GBP", 790, 80, 86, range(8), "2a00:2000"),
    Country("DE", 9, 1, "EUR", 810, 75, 91, range(8), "2003:1000"),
    Country("FR", 7, 1, "EUR", 800, 70, 90, range(8), "2a02:8400"),
    Country("BR", 8, -3, "BRL", 1650, 110, 177, range(24, 32), "2804:d40"),
    Country("IN", 8, 5, "INR", 9900, 700, 49, range(32, 40), "2409:4200"),
    Country("JP", 7, 9, "JPY", 830, 60, 126, range(8), "2400:2000"),
    Country("MX", 5, -6, "MXN", 9700, 850, 189, range(150, 158), "2806:240"),
    Country("ID", 4, 7, "IDR", 4_200_000, 310_000, 114, range(120, 128), "2001:4488"),
    Country("SE", 3, 1, "SEK", 8900, 900, 78, range(64, 72), "2a00:840"),
    Country("PL", 3, 1, "PLN", 1750, 160, 83, range(8), "2a01:1400"),
    Country("NG", 3, 1, "NGN", 71_000, 5200, 102, range(88, 96), "2c0f:6e80"),
    Country("CA", 3, -5, "CAD", 870, 90, 70, range(64, 72), "2604:3d00"),
    Country("AU", 2, 10, "AUD", 980, 100, 58, range(160, 168), "2001:8800"),
    Country("ZA", 2, 2, "ZAR", 4900, 420, 41, range(144, 152), "2c0e:2800"),
    Country("KW", 1, 3, "KWD", 1350, 120, 37, range(36, 40), "2a03:4780"),
)
CODES: Final = pl.Series("country", [country.code for country in COUNTRIES])
_HOSTING_BLOCKS: Final = (
    *("88.198", "95.216", "116.202", "135.181", "144.76", "159.69"),  # Hetzner
    *("51.75", "54.37", "137.74", "145.239", "164.132", "188.165"),  # OVH
    *("139.59", "142.93", "159.65", "167.99"),  # DigitalOcean
)
_UTC_OFFSETS_MS: Final = np.array([country.utc_offset_hours * HOUR_MS for country in COUNTRIES])
_WEIGHTS: Final = np.array([country.weight for country in COUNTRIES])
_LISTENING_BY_LOCAL_HOUR: Final = np.array(
    [20, 11, 7, 5, 5, 8, 22, 45, 58, 52, 48, 50, 56, 54, 52, 55, 63, 74, 80, 78, 74, 70, 58, 38], dtype=np.float64
)


def index_of(code: str) -> int:
    """Return the position of a country in `COUNTRIES`."""
    return [country.code for country in COUNTRIES].index(code)


def countries(rng: np.random.Generator, count: int) -> Indices:
    """Draw `count` countries in proportion to their size."""
    return draw(rng, _WEIGHTS, count)


def listening_times(rng: np.random.Generator, country: Indices) -> Indices:
    """Draw milliseconds since midnight UTC at which people of these countries listen, by their local hours."""
    local = draw(rng, _LISTENING_BY_LOCAL_HOUR, len(country)) * HOUR_MS + rng.integers(0, HOUR_MS, len(country))
    return at_local_time(local, country)


def at_local_time(local_ms: Indices, country: Indices) -> Indices:
    """Convert a local time of day in these countries to milliseconds since midnight UTC, folded into one UTC day."""
    return np.asarray((local_ms - _UTC_OFFSETS_MS[country]) % DAY_MS, dtype=np.int64)


def addresses(rng: np.random.Generator, country: Indices, *, ipv6_share: float = 0.0) -> pl.Series:
    """Draw one address per given country, from a few blocks of its providers."""
    count = len(country)
    second, third = rng.integers(0, 8, count), rng.integers(0, 256, count)
    last, is_ipv6 = rng.integers(1, 255, count), chance(rng, ipv6_share, count)
    places = [COUNTRIES[place] for place in country.tolist()]
    rows = zip(places, second.tolist(), third.tolist(), last.tolist(), is_ipv6.tolist(), strict=True)
    return pl.Series("ip", [_ipv6(*row) if v6 else _ipv4(*row) for *row, v6 in rows], dtype=pl.String)


def hosting_addresses(rng: np.random.Generator, count: int) -> pl.Series:
    """Draw `count` addresses of one hosting company, all in one /24, outside the blocks of all countries."""
    block = f"{_HOSTING_BLOCKS[rng.integers(len(_HOSTING_BLOCKS))]}.{rng.integers(0, 256)}"
    return pl.Series(
        "ip", [f"{block}.{last}" for last in rng.permutation(np.arange(1, 255))[:count].tolist()], dtype=pl.String
    )


def _ipv4(country: Country, second: int, third: int, last: int) -> str:
    octets = country.second_octets
    return f"{country.first_octet}.{octets[second % len(octets)]}.{third}.{last}"


def _ipv6(country: Country, second: int, third: int, last: int) -> str:
    return f"{country.ipv6}:{second:x}{third:02x}:{last:x}::1"
