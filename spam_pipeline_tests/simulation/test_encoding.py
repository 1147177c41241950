import json

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.simulation.deliveries import arrivals, with_event_ids
from spam_pipeline.simulation.encoding import BREAKAGES, broken_lines, json_lines, length_delimited
from spam_pipeline_tests.simulation.landing_reader import event_of, messages_of

DAY_MS = 86_400_000
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
plays_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": texts,
            "occurred_ms": st.integers(0, 2**42),
            "track_id": texts,
            "user_id": st.none() | texts,
            "device_id": texts,
            "ip": st.none() | texts,
            "country": st.none() | texts,
            "user_agent": st.none() | texts,
            "client": texts,
            "source": texts,
            "ms_played": st.integers(0, 2**40),
        }
    ),
    min_size=1,
    max_size=8,
)
TYPES = {"occurred_ms": pl.Int64, "ms_played": pl.Int64}


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={name: TYPES.get(name, pl.String) for name in rows[0]})


def a_play() -> pl.DataFrame:
    row: dict[str, object] = {
        name: name for name in ("event_id", "track_id", "user_id", "device_id", "client", "source")
    }
    return table(
        [
            {
                **row,
                "ip": "192.0.2.1",
                "country": "DE",
                "user_agent": "x",
                "occurred_ms": 1_767_225_600_123,
                "ms_played": 0,
            }
        ]
    )


@settings(max_examples=40)
@given(plays_strategy)
def test_protobuf_written_by_hand_is_what_the_protobuf_runtime_reads(rows: list[dict[str, object]]) -> None:
    messages = messages_of(length_delimited(table(rows)))
    assert len(messages) == len(rows)
    for message, row in zip(messages, rows, strict=True):
        assert message.schema_version == 1
        assert message.occurred_at_ms == row["occurred_ms"]
        assert all(
            getattr(message, name) == (row[name] or ("" if name not in TYPES else 0))
            for name in row
            if name != "occurred_ms"
        )


@settings(max_examples=40)
@given(plays_strategy, st.integers(0, 2))
def test_json_lines_say_what_the_plays_say_in_every_dialect(rows: list[dict[str, object]], dialect: int) -> None:
    lines = json_lines(table(rows), dialect, []).split(b"\n")
    assert lines.pop() == b""
    read = [json.loads(line) for line in lines]
    assert [
        {name: event[name] for name in row if name != "occurred_ms"} for event, row in zip(read, rows, strict=True)
    ] == [{name: value for name, value in row.items() if name != "occurred_ms"} for row in rows]


def test_dialects_write_the_same_instant_in_three_forms() -> None:
    events = [json.loads(json_lines(a_play(), dialect, [])) for dialect in range(3)]
    forms = [event["occurred_at"] for event in events]
    assert forms == ["2026-01-01T00:00:00.123Z", 1_767_225_600_123, "2026-01-01T02:00:00.123+02:00"]
    assert "schema_version" not in events[1]
    assert "app_version" in events[2]


def test_inserted_lines_come_before_the_play_at_their_position() -> None:
    plays = pl.concat([a_play()] * 3)
    lines = json_lines(plays, 0, [(0, b"first"), (2, b"second"), (2, b"")]).split(b"\n")
    assert [lines.index(b"first"), lines.index(b"second")] == [0, 3]
    assert len(lines) == 3 + 3 + 1


def test_every_manner_of_breaking_a_line_breaks_it() -> None:
    manners = np.arange(BREAKAGES)
    broken = broken_lines(a_play(), np.zeros(BREAKAGES, dtype=np.int64), manners)
    assert len({line for _, line in broken}) == BREAKAGES
    assert all(b"\n" not in line and event_of(line) is None for _, line in broken)
    whole = json_lines(a_play(), 0, []).strip()
    assert isinstance(event_of(whole), dict)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 5))
def test_nothing_arrives_before_it_happened_or_after_the_end(seed: int, count: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    plays = pl.DataFrame({"occurred_ms": rng.integers(0, DAY_MS, count), "ms_played": rng.integers(0, 600_000, count)})
    named = with_event_ids(plays, rng, day=0)
    delivered, retries = arrivals(named, rng, days * DAY_MS)
    assert delivered.height == count + retries
    assert named["event_id"].n_unique() == count
    assert delivered.select((pl.col("arrival_ms") >= pl.col("occurred_ms")).all()).item()
    assert delivered.select((pl.col("arrival_ms") < days * DAY_MS).all()).item()
