"""Inputs of a stage: partitions, columns and schema, and expectations of one parameter, declared in one place."""

from dataclasses import dataclass, field

import polars as pl

from spam_pipeline.protocol.definition.contract import Contract
from spam_pipeline.protocol.definition.selection import SamePartition, Selection
from spam_pipeline.protocol.foundation.limit import Limit


@dataclass(frozen=True)
class Reads:
    """The part of an upstream that a consumer reads. It is given nothing else, so that what is declared is what is used.

    `partitions` selects partitions and parts. `columns` are those of the schema numbered `schema`, so that a producer that
    removes one learns whom that breaks; without either, the consumer gets all current columns. `expectations` are limits on
    the upstream's fingerprint: while a version does not meet them, this consumer alone is held.
    """

    partitions: Selection = field(default_factory=SamePartition)
    columns: tuple[str, ...] = ()
    schema: int | None = None
    expectations: tuple[Limit, ...] = ()

    @property
    def schema_read(self) -> int | None:
        """The number of the schema whose columns are read; None where all current columns are read."""
        return 1 if self.columns and self.schema is None else self.schema

    def of(self, frame: pl.LazyFrame, contract: type[Contract]) -> pl.LazyFrame:
        """Select the consumer's columns from a frame that keeps `contract`."""
        show = contract.earlier_schemas().get(self.schema_read or contract.schema_version)
        shown = show(frame) if show and self.schema_read != contract.schema_version else frame
        return shown.select(self.columns) if self.columns else shown


ALL_COLUMNS = Reads()
"""The same partition with all its columns."""
