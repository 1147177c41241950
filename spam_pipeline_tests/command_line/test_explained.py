"""An explained payment as people read it: decimal money, percent and hours."""

import polars as pl

from spam_pipeline.command_line.explained import explained_tables
from spam_pipeline.command_line.narrow_table import narrow_table
from spam_pipeline.royalties.explanation import Explanation

BALANCES = pl.DataFrame({"currency": ["EUR", "JPY", "KWD"], "payout_minor": [123456, 123456, -5]})
POOLS = pl.DataFrame(
    {
        "country": ["DE"],
        "tier": ["premium"],
        "currency": ["EUR"],
        "line": ["payout"],
        "incident_id": ["incident-of-a-long-name-" * 3],
        "pool_minor": [255_780_000],
        "plays": [1234],
        "ms_played": [5_000_000],
        "amount_minor": [1_802_023],
        "issued_minor": [1_802_000],
        "settled_minor": [0],
        "open_minor": [23],
    }
)
TRACKS = pl.DataFrame(
    {
        "country": ["DE", "FR"],
        "tier": ["free", "free"],
        "track_id": ["t1", "t1"],
        "share_ppm": [333_333, 333_333],
        "in_escrow": [False, False],
        "status": ["earning", "earning"],
        "incident_id": ["", ""],
        "plays": [1000, 34],
        "ms_played": [3_600_000, 65_000],
    }
)
FOUND = Explanation(
    payee_id="A",
    month="2026-01",
    rule="pro_rata",
    is_issued=True,
    balances=BALANCES,
    pools=POOLS,
    tracks=TRACKS,
    settled=BALANCES.clear(),
    changes=BALANCES.clear(),
)


def test_money_has_the_decimals_of_its_currency() -> None:
    balances, *_ = explained_tables(FOUND)
    assert (balances.columns, balances.rows) == (
        ("currency", "payout"),
        [("EUR", "1,234.56"), ("JPY", "123,456"), ("KWD", "-0.005")],
    )


def test_what_is_paid_for_a_pool_is_shown_on_a_narrow_terminal() -> None:
    _, pools, _ = explained_tables(FOUND)
    assert pools.columns == (
        "country, tier",
        "currency",
        "line",
        "incident",
        "amount",
        "issued",
        "open",
        "plays",
        "pool",
    )
    head = narrow_table(pools.columns, pools.rows, 80).head.split()
    assert {"amount", "issued", "open"} <= set(head)


def test_plays_of_a_track_are_those_of_all_countries_with_shares_in_percent_and_time_in_hours() -> None:
    *_, tracks = explained_tables(FOUND)
    assert tracks.columns == ("track", "share", "status", "incident", "plays", "listened")
    assert tracks.rows == [("t1", "33.3333 %", "earning", "", "1,034", "1:01:05")]


def test_json_has_decimals_beside_minor_units() -> None:
    kuwait = FOUND.as_record()["balances"][2]
    assert kuwait == {"currency": "KWD", "payout_minor": -5, "payout": "-0.005"}
