"""The I/O manager through which any asset reads published versions, by naming a stage as a parameter. It never writes.

Stages publish through the protocol, so a value that reaches this I/O manager as an output is a mistake in a definition.
"""

from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import Engine


class PublishedVersions(dg.IOManager):
    """Loads published versions of a stage: a lazy frame over one or many partitions, or an artifact."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load_input(self, context: dg.InputContext) -> Any:
        """The published data of the partitions that the consumer's partition maps to.

        Raises `NotPublished` when one of them is not published, whatever Dagster has recorded of it.
        """
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [WHOLE]
        return self._engine.reader.read(AssetKeys.name(context.asset_key), keys)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Refuse: only a stage can publish."""
        del obj
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} returned a value to the I/O manager of published versions; "
            "write it as a stage, or give the asset an I/O manager of its own"
        )


@dg.io_manager(
    required_resource_keys={ENGINE}, description="Loads published versions lazily; stages publish by the protocol."
)
def published_versions(context: dg.InitResourceContext) -> PublishedVersions:
    """The I/O manager over the run's own engine."""
    return PublishedVersions(context.resources.engine)
