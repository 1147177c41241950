"""Scoring: the spam probability of every play, from what a model says of the play's entities.

Signals are turned into evidence once per actor, device, address, network, track and uploader, and looked up per play: as a model is
additive and the policy takes a minimum, that gives what scoring every play on its own would. What a verdict is, and
what experts declared, is in `classification`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy  # type: ignore[import-untyped]  # it ships no types, and loads scipy.special when that is used

from spam_pipeline.trust_and_safety.attack_types import ATTACK_TYPES, fits
from spam_pipeline.trust_and_safety.contracts import ACTOR, ADDRESS, DEVICE, NETWORK, TRACK, UPLOADER
from spam_pipeline.trust_and_safety.model import SpamModel, evidence, intercept
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix, Signal

POLICY_FLOOR, POLICY_CEILING = 0.1, 0.9
"""The policy is never surer than this either way, because no label confirms it."""

Rows = npt.NDArray[np.uint32]

_PLAY_COLUMNS: Final = {
    ACTOR: "actor_key",
    DEVICE: "device_key",
    ADDRESS: "ip_key",
    NETWORK: "network_key",
    TRACK: "track_key",
}
"""Which column of a play names its entity; the uploader is named by the track."""


@dataclass(frozen=True)
class EntityTable:
    """The signals of one kind of entity, as they are and standardised; the last row is an entity that has none."""

    names: tuple[str, ...]
    row_of_key: pl.DataFrame
    values: Matrix
    matrix: Matrix

    @cached_property
    def fits(self) -> Matrix:
        """How well each signature fits each entity, as far as its conditions are about this kind."""
        return fits(self.matrix, self.names)

    def rows_of(self, keys: pl.Series) -> Rows:
        """The row of each key, in the order of `keys`."""
        found = (
            keys.alias("entity_key")
            .to_frame()
            .join(self.row_of_key, on="entity_key", how="left", maintain_order="left")
        )
        return found.get_column("row").fill_null(self.row_of_key.height).to_numpy()


@dataclass(frozen=True)
class PlaysWithEntities:
    """Plays and the entities that speak about them: for each kind of entity its table, and the row of each play in it."""

    tables: dict[str, EntityTable]
    rows: dict[str, Rows]

    def matrix(self, which: npt.NDArray[np.intp]) -> Matrix:
        """The standardised signals of some plays; columns are `SIGNALS`."""
        return np.hstack([table.matrix[self.rows[kind][which]] for kind, table in self.tables.items()])

    def values(self, which: npt.NDArray[np.intp]) -> Matrix:
        """The signals of some plays as they are, NaN where nothing is known; columns are `SIGNALS`."""
        return np.hstack([table.values[self.rows[kind][which]] for kind, table in self.tables.items()])


def entities_of(plays: pl.DataFrame, play_signals: pl.LazyFrame) -> PlaysWithEntities:
    """Look up the entities of `plays`, which have an `actor_key`, among the day's `PlaySignals`."""
    tables = {kind: _entity_table(play_signals, kind) for kind in (*_PLAY_COLUMNS, UPLOADER)}
    rows = {kind: tables[kind].rows_of(plays.get_column(column)) for kind, column in _PLAY_COLUMNS.items()}
    of_tracks = tables[TRACK].row_of_key.get_column("uploader_key")
    uploaders = np.append(tables[UPLOADER].rows_of(of_tracks), np.uint32(tables[UPLOADER].row_of_key.height))
    return PlaysWithEntities(tables, {**rows, UPLOADER: uploaders[rows[TRACK]]})


def spam_probability(model: SpamModel, scored: PlaysWithEntities) -> Matrix:
    """The spam probability of each play, in the order in which they were looked up."""
    if model.estimator is None:
        return stated_probability(fits_of(scored, np.arange(len(scored.rows[TRACK]))).max(axis=1))
    log_odds = np.full(len(scored.rows[TRACK]), intercept(model.estimator))
    for kind, table in scored.tables.items():
        log_odds += evidence(model.estimator, table.matrix, table.names).sum(axis=1)[scored.rows[kind]]
    learned: Matrix = scipy.special.expit(log_odds)
    return learned


def stated_probability(best_fit: Matrix) -> Matrix:
    """The spam probability by the policy, for how well the best-fitting signature of an attack fits, from 0 to 1."""
    stated: Matrix = POLICY_FLOOR + (POLICY_CEILING - POLICY_FLOOR) * best_fit
    return stated


def fits_of(scored: PlaysWithEntities, which: npt.NDArray[np.intp]) -> Matrix:
    """How well the signature of each of `ATTACK_TYPES` fits some plays: the least of the fits of a play's entities."""
    found = np.ones((len(which), len(ATTACK_TYPES)))
    for kind, table in scored.tables.items():
        np.minimum(found, table.fits[scored.rows[kind][which]], out=found)
    return found


def matrix_of_examples(examples: pl.DataFrame) -> Matrix:
    """The standardised signals of examples, which have them as columns named like `NAMES`."""
    return _standardised(examples.select(NAMES), SIGNALS)


def _entity_table(play_signals: pl.LazyFrame, kind: str) -> EntityTable:
    signals = [signal for signal in SIGNALS if signal.kind == kind]
    columns = [signal.column for signal in signals]
    found = play_signals.filter(pl.col("entity_kind") == kind).select("entity_key", "uploader_key", *columns).collect()
    values, nothing = found.select(columns), np.full((1, len(signals)), np.nan)
    return EntityTable(
        names=tuple(signal.name for signal in signals),
        row_of_key=found.select("entity_key", "uploader_key").with_row_index("row"),
        values=np.vstack([values.cast(pl.Float64).fill_null(np.nan).to_numpy(), nothing]),
        matrix=np.vstack([_standardised(values, signals), np.zeros((1, len(signals)))]),
    )


def _standardised(values: pl.DataFrame, signals: tuple[Signal, ...] | list[Signal]) -> Matrix:
    columns = [
        signal.standardised(column.cast(pl.Float64).to_numpy())
        for signal, column in zip(signals, values.get_columns(), strict=True)
    ]
    return np.column_stack(columns)
