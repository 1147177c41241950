import numpy as np
import polars as pl
import pytest

from spam_pipeline.ingestion.addresses import canonical_addresses, networks_of
from spam_pipeline.ingestion.hosting import hosting_networks
from spam_pipeline.simulation.geography import COUNTRIES, addresses, hosting_addresses

PER_COUNTRY = 5_000


def is_hosting(ips: pl.Series) -> pl.Series:
    return hosting_networks().among(networks_of(canonical_addresses(ips)))


@pytest.mark.parametrize("ipv6_share", [0.0, 1.0])
def test_listeners_live_where_access_providers_are_known_to_be(ipv6_share: float) -> None:
    country = np.repeat(np.arange(len(COUNTRIES)), PER_COUNTRY)
    ips = addresses(np.random.default_rng(1), country, ipv6_share=ipv6_share)
    by_country = (
        pl.DataFrame({"country": country, "is_hosting": is_hosting(ips)})
        .group_by("country")
        .agg(wrong=pl.col("is_hosting").ne_missing(pl.lit(value=False)).mean())
    )
    assert by_country["wrong"].to_list() == [pytest.approx(0, abs=0.001)] * len(COUNTRIES)


def test_every_country_has_networks_of_its_own() -> None:
    blocks = [(place.first_octet, octet) for place in COUNTRIES for octet in place.second_octets]
    assert len(set(blocks)) == len(blocks)
    assert len({place.ipv6 for place in COUNTRIES}) == len(COUNTRIES)


def test_rented_machines_are_in_one_network_of_a_hosting_company() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        ips = hosting_addresses(rng, 50)
        assert ips.n_unique() == 50
        assert networks_of(ips).n_unique() == 1
        assert is_hosting(ips).all()
        assert is_hosting(ips).null_count() == 0


def test_the_same_seed_gives_the_same_addresses() -> None:
    first, second = (addresses(np.random.default_rng(3), np.arange(16), ipv6_share=0.5) for _ in range(2))
    assert first.equals(second)
