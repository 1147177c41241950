"""What one parameter of a stage reads of its upstream, declared in one place: partitions, columns and schema, expectations."""

from dataclasses import dataclass, field

import polars as pl

from spam_pipeline.protocol.definition.contract import Contract
from spam_pipeline.protocol.definition.selection import SamePartition, Selection
from spam_pipeline.protocol.foundation.limit import Limit


@dataclass(frozen=True)
class Reads:
    """What a consumer reads of an upstream; it is given this and nothing else, so that what is declared is what is used.

    `partitions` selects the partitions and parts. `columns` are those of the schema numbered `schema`: a producer that takes
    one of them away learns whom that breaks; without either, the consumer is given all columns as they are now.
    `expectations` are limits on the upstream's fingerprint: while a version does not meet them, this consumer alone is held.
    """

    partitions: Selection = field(default_factory=SamePartition)
    columns: tuple[str, ...] = ()
    schema: int | None = None
    expectations: tuple[Limit, ...] = ()

    @property
    def schema_read(self) -> int | None:
        """Number of the schema whose columns are read; None where all columns are read as they are."""
        return 1 if self.columns and self.schema is None else self.schema

    def of(self, frame: pl.LazyFrame, contract: type[Contract]) -> pl.LazyFrame:
        """The columns that the consumer is given of a frame that keeps `contract`."""
        show = contract.earlier_schemas().get(self.schema_read or contract.schema_version)
        shown = show(frame) if show and self.schema_read != contract.schema_version else frame
        return shown.select(self.columns) if self.columns else shown


ALL_COLUMNS = Reads()
"""The same partition, as it is."""
