"""Behavioural signals of accounts, devices, addresses, networks, tracks and uploaders on one day, from it and the days before.

All of it is causal: no later day is read. `catalogue` lists the signals, `known_plays` flags the day's plays, `past` summarises
the days before, `mixtures` has the measures common to all kinds, and `listeners`, `places` and `music` compute the signals. Their
weight in a verdict is learned in `model`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from spam_pipeline.protocol import SLICE_ROWS, column_types
from spam_pipeline.trust_and_safety.contracts import ACTOR, ADDRESS, DEVICE, NETWORK, TRACK, UPLOADER, PlaySignals
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, known_plays
from spam_pipeline.trust_and_safety.signals.listeners import actor_signals, device_signals
from spam_pipeline.trust_and_safety.signals.music import track_signals, uploader_signals
from spam_pipeline.trust_and_safety.signals.past import past_of
from spam_pipeline.trust_and_safety.signals.places import address_signals, network_signals


def signals_of_day(
    plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str, slice_rows: int = SLICE_ROWS
) -> pl.LazyFrame:
    """Compute the signals of every entity with a play on `day`, as `PlaySignals`; `plays` may include earlier days.

    Memory holds the signals, and what `slice_rows` plays take to be grouped; a larger day is kept in a temporary file meanwhile.
    """
    with TemporaryDirectory() as folder:
        by_kind = _signals(plays, entity_facts, day, Path(folder), slice_rows)
    columns = pl.Schema(column_types(PlaySignals))
    rows = [_rows(kind, signals) for kind, signals in sorted(by_kind.items())]
    return pl.concat(rows, how="diagonal_relaxed").cast(columns).select(*columns)


def _signals(
    plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str, folder: Path, slice_rows: int
) -> dict[str, pl.DataFrame]:
    today = known_plays(plays, entity_facts, day, folder, slice_rows)
    past = past_of(today, plays, entity_facts, day)
    return {
        ACTOR: actor_signals(today, past),
        ADDRESS: address_signals(today),
        DEVICE: device_signals(today, past),
        NETWORK: network_signals(today),
        TRACK: track_signals(today, past),
        UPLOADER: uploader_signals(today, past),
    }


def _rows(kind: str, signals: pl.DataFrame) -> pl.LazyFrame:
    keyed = signals.rename({KEY_COLUMNS[kind]: "entity_key"}).sort("entity_key")
    return keyed.lazy().with_columns(entity_kind=pl.lit(kind))
