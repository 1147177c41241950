"""Behavioural signals of accounts, devices, addresses, networks, tracks and uploaders on one day, from it and the days before.

All of it is causal: no later day is read. `catalogue` lists the signals, `known_plays` flags the day's plays, `past` summarises
the days before, `mixtures` has the measures common to all kinds, and `listeners`, `places` and `music` compute the signals. Their
weight in a verdict is learned in `model`.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from spam_pipeline.protocol import SLICE_ROWS, column_types, in_slices
from spam_pipeline.trust_and_safety.contracts import ACTOR, ADDRESS, DEVICE, NETWORK, TRACK, UPLOADER, PlaySignals
from spam_pipeline.trust_and_safety.signals.known_plays import KEY_COLUMNS, known_plays
from spam_pipeline.trust_and_safety.signals.listeners import actor_signals, device_signals
from spam_pipeline.trust_and_safety.signals.music import track_signals, uploader_signals
from spam_pipeline.trust_and_safety.signals.past import PriorActivity, past_of
from spam_pipeline.trust_and_safety.signals.places import address_signals, network_signals

_SIGNALS_OF: Final[Mapping[str, Callable[[pl.LazyFrame, PriorActivity], pl.DataFrame]]] = {
    ACTOR: actor_signals,
    ADDRESS: address_signals,
    DEVICE: device_signals,
    NETWORK: network_signals,
    TRACK: track_signals,
    UPLOADER: uploader_signals,
}
"""The computation of the signals of each kind, from those plays of the day that have some of its keys."""


def signals_of_day(
    plays: pl.LazyFrame, entity_facts: pl.LazyFrame, day: str, slice_rows: int = SLICE_ROWS
) -> pl.LazyFrame:
    """Compute the signals of every entity with a play on `day`, as `PlaySignals`; `plays` may include earlier days.

    Memory holds some `slice_rows` plays with the signals of their entities of one kind, and what is known of the days before. A larger
    day is kept in temporary files meanwhile. It is computed whenever the result is read.
    """

    def slices() -> Iterator[pl.DataFrame]:
        with TemporaryDirectory() as folder:
            today = known_plays(plays, entity_facts, day, Path(folder), slice_rows)
            past = past_of(today, plays, entity_facts, day)
            for kind, signals_of in sorted(_SIGNALS_OF.items()):
                for some in today.by(KEY_COLUMNS[kind]):
                    yield _rows(kind, signals_of(some, past))

    return in_slices(slices, column_types(PlaySignals))


def _rows(kind: str, signals: pl.DataFrame) -> pl.DataFrame:
    keyed = signals.rename({KEY_COLUMNS[kind]: "entity_key"}).with_columns(entity_kind=pl.lit(kind))
    columns = column_types(PlaySignals)
    known = [pl.col(name) if name in keyed.columns else pl.lit(None).alias(name) for name in columns]
    return keyed.sort("entity_key").select(known).cast(pl.Schema(columns))
