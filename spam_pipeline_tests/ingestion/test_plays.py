from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.ingestion.contracts import Plays, ReceivedPlays
from spam_pipeline.ingestion.plays import distinct_plays
from spam_pipeline.protocol import column_types
from spam_pipeline_tests.contract_helpers import findings_about

Row = Mapping[str, Any]

ROWS = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from(["a", "b", "c", "d", "é"]),
        "occurred_at": st.sampled_from([datetime(2026, 1, 5, 1, tzinfo=UTC), datetime(2026, 1, 5, 2, tzinfo=UTC)]),
        "arrival_hour": st.sampled_from([datetime(2026, 1, 5, 3, tzinfo=UTC), datetime(2026, 1, 9, 0, tzinfo=UTC)]),
        "track_id": st.sampled_from(["t", "u"]),
        "track_key": st.just(1),
        "user_key": st.sampled_from([None, 0, 2**64 - 1]),
        "device_key": st.integers(0, 2),
        "ip_key": st.none(),
        "network_key": st.none(),
        "is_hosting": st.sampled_from([None, False, True]),
        "country": st.sampled_from([None, "DE", "FR"]),
        "user_agent": st.none(),
        "user_agent_key": st.none(),
        "client": st.just("web"),
        "source": st.just("search"),
        "ms_played": st.integers(0, 2),
        "unknown_fields": st.integers(0, 1),
    }
)


def frame(rows: list[Row]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema=column_types(ReceivedPlays))


def content(row: Row) -> tuple[Any, ...]:
    """A row as its contract orders it; null is smaller than any value."""
    return tuple(
        (row[name] is not None, row[name]) if row[name] is not None else (False,) for name in column_types(Plays)
    )


def naive(rows: list[Row]) -> list[tuple[Any, ...]]:
    kept: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row["arrival_hour"], content(row))):
        kept.setdefault(row["event_id"], row)
    ordered = sorted(kept.values(), key=lambda row: (row["occurred_at"], row["event_id"]))
    return [tuple(row[name] for name in column_types(Plays)) for row in ordered]


@given(st.lists(ROWS, max_size=25), st.randoms(use_true_random=False), st.sampled_from([1, 3, 1_000]))
@settings(max_examples=60)
def test_each_event_stays_once_by_earliest_arrival_then_smallest_content_in_any_order_and_any_slices(
    rows: list[Row], chance: Any, slice_rows: int
) -> None:
    shuffled = chance.sample(rows, len(rows))
    halves = pl.concat([frame(shuffled[::2]), frame(shuffled[1::2])])
    for received in (frame(rows), halves):
        plays = distinct_plays(received, slice_rows).collect(engine="streaming")
        assert plays.rows() == naive(rows)
        assert findings_about(Plays, plays.lazy()) == []


def test_many_plays_with_few_copies_are_told_apart() -> None:
    columns = column_types(ReceivedPlays).items()
    rows = pl.DataFrame({name: [0] * 200_000 for name, _ in columns}).select(
        pl.col(name).cast(dtype) for name, dtype in columns
    )
    number = pl.int_range(pl.len())
    numbered = rows.with_columns(event_id=number.cast(pl.String), arrival_hour=number.cast(pl.Datetime("ms", "UTC")))
    received = pl.concat([numbered.tail(5_000), numbered, numbered.head(5_000)]).lazy()
    plays = distinct_plays(received).collect(engine="streaming")
    assert plays.height == 200_000
    assert plays["event_id"].is_sorted()
