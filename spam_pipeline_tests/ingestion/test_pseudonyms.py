import polars as pl
import pytest

from spam_pipeline.ingestion.addresses import canonical_addresses, networks_of
from spam_pipeline.ingestion.pseudonyms import keyed_hash

KEY = "a key that only tests use"


def test_pseudonyms_never_change() -> None:
    values = pl.Series("value", ["user-1", "", "ünïcode", None])
    assert keyed_hash(values, "user", KEY).to_list() == [
        5450364089952483649,
        6726442224835777087,
        1312942108283331006,
        None,
    ]
    assert keyed_hash(pl.Series(["192.0.2.44"]), "ip", KEY).to_list() == [13778062676925585631]


def test_pseudonyms_depend_on_the_kind_and_on_the_key() -> None:
    values = pl.Series(["1"])
    hashes = [
        keyed_hash(values, kind, key).item() for kind in ("user", "device") for key in (KEY, "another key, as long")
    ]
    assert len(set(hashes)) == 4


def test_a_column_without_values_stays_without() -> None:
    hashed = keyed_hash(pl.Series("x", [None, None], dtype=pl.String), "user", KEY)
    assert hashed.to_list() == [None, None]
    assert hashed.dtype == pl.UInt64
    assert keyed_hash(pl.Series("x", [], dtype=pl.String), "user", KEY).to_list() == []


@pytest.mark.parametrize(
    ("value", "canonical", "network"),
    [
        ("192.0.2.44", "192.0.2.44", "192.0.2.0/24"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", "2001:db8::/48"),
        ("2001:db8:1:2::", "2001:db8:1:2::", "2001:db8:1::/48"),
        ("::ffff:192.0.2.44", "192.0.2.44", "192.0.2.0/24"),
        ("::FFFF:C000:022C", "192.0.2.44", "192.0.2.0/24"),
        ("192.0.2.256", None, None),
        ("192.0.2.01", None, None),
        ("192.0.2", None, None),
        ("3221226028", None, None),
        (" 192.0.2.44", None, None),
        ("192.0.2.44\n", None, None),
        ("fe80::1%eth0", None, None),
        ("1" * 100_000, None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_addresses_have_one_spelling_and_a_network(
    value: str | None, canonical: str | None, network: str | None
) -> None:
    values = pl.Series("ip", [value, "198.51.100.7", None, value], dtype=pl.String)
    spelled = canonical_addresses(values)
    assert spelled.to_list() == [canonical, "198.51.100.7", None, canonical]
    assert networks_of(spelled).to_list() == [network, "198.51.100.0/24", None, network]
