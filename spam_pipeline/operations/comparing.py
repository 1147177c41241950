"""Comparing versions, as people name them, and partitions, as people type them."""

from spam_pipeline.protocol import WHOLE, WrongPartition
from spam_pipeline.protocol.operating import (
    PRODUCTION,
    PUBLISHED,
    AnyStage,
    Comparison,
    Engine,
    Pair,
    UnknownEnvironment,
    compare,
    did_you_mean,
    pairs_of_code,
    pairs_of_environments,
    resolve,
)

_NEAR_KEY = 0.9
"""How alike keys of partitions have to be, of 1, for one to be meant by the other: all days of a year are alike by 0.7 and more."""


def compare_versions(engine: Engine, stage: str, partition: str, old: str, new: str) -> Comparison:
    """Compare two versions of a partition, or of each in a range of partitions. Raises like `Pipeline.diff`."""
    found = engine.graph.find([stage])[0]
    ledger, environment = engine.ledger, engine.environment
    first, is_range, last = partition.partition("..")
    for key in (first, last) if is_range else (first,):
        partition_typed(engine, found, key)
    if is_range:
        within = sorted(key for key in engine.planner.statuses([stage])[stage] if first <= key <= last)
        pairs = pairs_of_code(ledger, environment, stage, old, new, within)
    else:
        is_first = old == PUBLISHED and ledger.published_version(environment, stage, partition) is None
        before = None if is_first else resolve(ledger, environment, stage, partition, old)
        pairs = [Pair(partition, before, resolve(ledger, environment, stage, partition, new))]
    return compare(ledger, engine.reader, found, pairs)


def compare_environments(engine: Engine, base: str) -> list[Comparison]:
    """Compare what the engine's environment publishes with what another one does. Raises `UnknownEnvironment`."""
    ledger, stages = engine.ledger, engine.graph.stages
    known = {PRODUCTION, *(item.name for item in ledger.environments())}
    if base not in known:
        near = did_you_mean(base, [*known, *stages]) or f"; there are {', '.join(sorted(known))}"
        raise UnknownEnvironment(f"no environment is called {base}, and no stage{near}")
    by_stage = pairs_of_environments(ledger, list(stages), engine.environment, base)
    return [compare(ledger, engine.reader, stages[stage], pairs) for stage, pairs in by_stage.items()]


def partition_typed(engine: Engine, stage: AnyStage, key: str) -> str:
    """A partition key that somebody typed. Raises `WrongPartition`, with the nearest one there is."""
    grid = stage.partitions
    if grid.is_whole and key != WHOLE:
        raise WrongPartition(f"{stage.name} is not partitioned: leave {key!r} out")
    if key == WHOLE and not grid.is_whole:
        raise WrongPartition(f"{stage.name} has a partition for each {grid.name}: name one, {grid.format}")
    try:
        return grid.check(key)
    except WrongPartition as wrong:
        published = engine.ledger.published(engine.environment, [stage.name])[stage.name]
        near = did_you_mean(key, sorted(published), near=_NEAR_KEY)
        raise WrongPartition(f"{wrong}{near}") from None
