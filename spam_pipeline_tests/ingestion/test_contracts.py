"""What ingestion's fingerprints are for: an error in code or data is refused where it arrives, and what people do is not."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from spam_pipeline.ingestion.assets import STAGES
from spam_pipeline.ingestion.contracts import (
    Accounts,
    Agreements,
    Incidents,
    Plays,
    ReceivedFiles,
    ReceivedPlays,
    Revenue,
    Rights,
    Tracks,
)
from spam_pipeline.protocol import Contract, Finding, HistoricFingerprint, Severity, column_types
from spam_pipeline.protocol.drift import drift
from spam_pipeline_tests.contract_helpers import fingerprint_of, numbers_of

FIRST_DAY = date(2026, 1, 5)
DAYS = 9
RECORDS = 4_000


def received(number: int) -> pl.LazyFrame:
    """A day's records of a few hundred listeners: people, places and clients are the same every day, what they do is not."""
    random = np.random.default_rng([7, number])
    listener = random.integers(0, 400, RECORDS)
    at = datetime.combine(FIRST_DAY + timedelta(days=number), datetime.min.time(), UTC)
    frame = pl.DataFrame(
        {
            "event_id": [f"{number}-{row}" for row in range(RECORDS)],
            "occurred_at": [at + timedelta(seconds=second) for second in random.integers(0, 86_400, RECORDS).tolist()],
            "track_key": random.zipf(1.5, RECORDS).clip(1, 3_000).astype(np.uint64) << np.uint64(40),
            "user_key": (listener + 1).astype(np.uint64) << np.uint64(48),
            "country": np.array(["DE", "US", "GB", "JP"])[listener % 4],
            "client": np.array(["web", "ios", "android"])[listener % 3],
            "source": random.choice(["search", "playlist", "feed"], RECORDS),
            "ms_played": random.lognormal(12, 0.6, RECORDS).astype(np.int64),
            "is_hosting": False,
            "unknown_fields": 0,
        }
    ).with_columns(
        arrival_hour=pl.col("occurred_at"),
        track_id=pl.lit("t"),
        device_key=~pl.col("user_key"),
        ip_key="user_key",
        network_key="user_key",
        user_agent=pl.lit("agent"),
        user_agent_key="user_key",
    )
    columns = pl.Schema(column_types(ReceivedPlays))
    return frame.lazy().select(*columns).cast(columns)


def findings_of_the_last_day(contract: type[Contract], last: pl.LazyFrame) -> list[Finding]:
    columns = list(column_types(contract))
    days = [(FIRST_DAY + timedelta(days=number)).isoformat() for number in range(DAYS)]
    history = [
        HistoricFingerprint(day, fingerprint_of(contract, received(at).select(columns)))
        for at, day in enumerate(days[:-1])
    ]
    seen = fingerprint_of(contract, last.select(columns))
    return drift(contract.fingerprint(), days[-1], seen, history, is_open=False)


def refused(contract: type[Contract], last: pl.LazyFrame) -> set[str]:
    found = findings_of_the_last_day(contract, last)
    return {finding.about for finding in found if finding.severity is Severity.REFUSE}


@pytest.mark.parametrize("contract", [ReceivedPlays, Plays])
def test_a_day_like_others_raises_nothing(contract: type[Contract]) -> None:
    assert findings_of_the_last_day(contract, received(DAYS - 1)) == []


@pytest.mark.parametrize(
    ("broken", "about"),
    [
        (pl.col("ms_played") // 1000, "ms_played"),
        (pl.lit(None, pl.UInt64).alias("user_key"), "logged_out_share"),
        (pl.lit(None, pl.UInt64).alias("ip_key"), "without_address_share"),
        (pl.lit(None, pl.Boolean).alias("is_hosting"), "without_owner_share"),
        (pl.lit(None, pl.String).alias("country"), "without_country_share"),
        (pl.lit(None, pl.UInt64).alias("user_agent_key"), "without_user_agent_share"),
    ],
    ids=[
        "seconds for milliseconds",
        "no users",
        "no addresses",
        "addresses of a proxy",
        "no countries",
        "no user agents",
    ],
)
def test_an_error_of_whoever_sends_or_decodes_is_refused_where_it_arrives(broken: pl.Expr, about: str) -> None:
    assert about in refused(ReceivedPlays, received(DAYS - 1).with_columns(broken))


def test_a_field_that_this_version_does_not_know_is_pointed_out_and_flows() -> None:
    found = findings_of_the_last_day(ReceivedPlays, received(DAYS - 1).with_columns(unknown_fields=pl.lit(2, pl.Int64)))
    assert [(finding.about, finding.severity) for finding in found] == [("unknown_fields_share", Severity.WARN)]


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_campaign_of_one_network_that_plays_one_track_is_for_others_to_refuse(share: float) -> None:
    day = received(DAYS - 1).collect()
    campaign = day.sample(int(RECORDS * share / (1 - share)), seed=1).with_columns(
        event_id="campaign " + pl.col("event_id"),
        track_key=pl.lit(7, pl.UInt64),
        user_key=pl.lit(None, pl.UInt64),
        network_key=pl.lit(7, pl.UInt64),
        is_hosting=~pl.col("is_hosting"),
        country=pl.lit("FR"),
        ms_played=pl.lit(33_000, pl.Int64),
    )
    attacked = pl.concat([day, campaign]).lazy()
    assert refused(ReceivedPlays, attacked) == refused(Plays, attacked) == set()
    assert findings_of_the_last_day(Plays, attacked) != []


Landed = tuple[int, int, bool, str | None]
"""Bytes, lost bytes, whether it was cut off, and the damage of a file."""

WHOLE: Landed = (1_000, 0, False, None)


def loss_of(*files: Landed) -> list[Finding]:
    """Findings on a day of landed files."""
    hour = datetime(2026, 1, 5, tzinfo=UTC)
    rows = [(f"plays/{number}", hour, file[0], 1, 0, *file[1:]) for number, file in enumerate(files)]
    frame = pl.LazyFrame(rows, schema=column_types(ReceivedFiles), orient="row")
    seen = {f"files_{name}": value for name, value in fingerprint_of(ReceivedFiles, frame).items()}
    return list(ReceivedPlays.findings(seen, []))


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ([WHOLE] * 9 + [(1_000, 1_000, False, "unreadable")], 0.1),
        ([WHOLE] * 9 + [(1_000, 500, False, "corrupt")], 0.05),
        ([WHOLE] * 9 + [(0, 0, True, "empty")], 0.1),
        ([WHOLE] * 9 + [(400, 0, True, "truncated")], 600 / 10_000),
        ([WHOLE] * 9 + [(700, 0, True, "truncated")], 700 / 10_400),
        ([WHOLE] * 9 + [(3_000, 10, True, "truncated")], 3_010 / 15_000),
        ([WHOLE] * 8 + [(5_000, 5_000, False, "unreadable"), (0, 0, True, "empty")], 5_000 / 13_000),
        ([WHOLE] * 8 + [(10, 10, False, "a large file in few bytes"), (0, 0, True, "empty")], 0.2),
        ([(10_000, 10, True, "truncated")], 1.0),
        ([(0, 0, True, "empty")], 1.0),
    ],
    ids=["unreadable", "corrupt", "empty", "half", "most", "large half", "large", "small", "the only one", "nothing"],
)
def test_a_damaged_file_weighs_what_was_lost_and_at_least_what_it_lacks_of_a_whole_one(
    files: list[Landed], share: float
) -> None:
    (found,) = loss_of(*files)
    assert (found.rule, found.about, found.severity) == ("lost", "lost bytes", Severity.REFUSE)
    assert found.size == pytest.approx(share, abs=0.0001)
    assert found.expected == "at most 1.00% of what landed"


def test_what_was_lost_is_said_with_the_first_files() -> None:
    (found,) = loss_of(*[WHOLE] * 6, *[(1_000, 1_000, False, "corrupt")] * 4)
    assert found.seen == (
        "40.00% (4,000 of 10,000 bytes, 4 of 10 files), such as plays/6 (corrupt), plays/7 (corrupt), plays/8 (corrupt)"
    )


@pytest.mark.parametrize(
    "damaged", [(0, 0, True, "empty"), (1_200, 200, False, "corrupt"), (900, 0, True, "truncated")]
)
def test_a_loss_within_the_tolerance_is_told_and_flows(damaged: Landed) -> None:
    (found,) = loss_of(*[WHOLE] * 200, damaged)
    assert (found.rule, found.severity) == ("lost", Severity.WARN)


@pytest.mark.parametrize("files", [[], [(0, 0, False, None)], [WHOLE]])
def test_whole_files_have_lost_nothing(files: list[Landed]) -> None:
    assert loss_of(*files) == []


def test_one_record_in_a_hundred_may_be_rejected_of_whatever_is_landed() -> None:
    landed = (ReceivedPlays, Tracks, Rights, Agreements, Accounts, Revenue, Incidents)
    assert {contract.tolerated_rejected_share for contract in landed} == {0.01}
    for stage in STAGES:
        assert isinstance(stage.contract, type)
        assert issubclass(stage.contract, Contract)
        assert (stage.contract.tolerated_rejected_share is not None) is ("rejected" in stage.side_parts)


def test_money_is_measured_by_currency_and_never_added_up_across() -> None:
    rows = [
        ("2026-01", "DE", "free", "EUR", 5),
        ("2026-01", "JP", "free", "JPY", 7),
        ("2026-02", "DE", "free", "EUR", 2),
    ]
    revenue = pl.LazyFrame(rows, schema=column_types(Revenue), orient="row")
    expected = {"pools": 3, "net_revenue_minor_EUR": 7, "net_revenue_minor_JPY": 7}
    assert numbers_of(Revenue, revenue) == expected


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_contract_measures_something_also_of_nothing(stage: Any) -> None:
    contract = stage.contract
    assert contract.fingerprint()
    assert fingerprint_of(contract, contract.empty()).keys() == contract.fingerprint().keys()
