"""Adoption: after a refactoring that is meant to change nothing, what is published counts as the result of the new code.

Of each stage whose partitions are stale by code alone, a sample is computed. If all of it is what is published, byte for byte, the rest is
published under the recipes of the new code without being computed, and the ledger says on which evidence. A difference ends it. What a sample
does not show nobody knows: a rebuild from nothing may differ from a version that was adopted, which is why it is marked.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spam_pipeline.protocol.definition.graph import AnyStage
from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import format_error
from spam_pipeline.protocol.explanation.comparison import Comparison, compare
from spam_pipeline.protocol.explanation.comparison.versions import Pair
from spam_pipeline.protocol.ledger.adoption_log import Evidence
from spam_pipeline.protocol.ledger.recipe import Recipe
from spam_pipeline.protocol.ledger.records import Audit, Trigger, Verdict, Version, VersionSummary
from spam_pipeline.protocol.planning.partition_status import RequiredAction

SAMPLE = 3
"""Partitions of a stage that are computed, unless somebody asks for more: the newest, the oldest and the largest."""


@dataclass(frozen=True)
class Candidate:
    """A partition that is stale by code alone: what is published, and the recipe that is wanted."""

    published: VersionSummary
    recipe: Recipe

    @property
    def rows(self) -> int:
        """The rows that are published."""
        return sum(part.rows for part in self.published.parts)


@dataclass(frozen=True)
class Adopted:
    """A stage that was looked at: the partitions that were computed for it, those that were adopted, and the first difference, if any."""

    stage: str
    computed: tuple[str, ...]
    adopted: tuple[str, ...]
    difference: Comparison | None = None


def adopt(
    engine: Engine,
    by: str,
    names: Collection[str] | None = None,
    sample: int = SAMPLE,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> list[Adopted]:
    """Adopt what is stale by code alone of the named stages, or of all, in their order, so that each reads what was adopted before.

    Ends with the first stage whose sample differs from what is published; of that one nothing is recorded. Raises whatever a stage raises.
    """
    found: list[Adopted] = []
    for stage in engine.graph.find(engine.graph.stages if names is None else names):
        candidates = stale_by_code_alone(engine, stage)
        if candidates:
            on_stage(stage.name)
            found.append(_adopted(engine, stage, candidates, sample, by))
            if found[-1].difference:
                break
    return found


def stale_by_code_alone(engine: Engine, stage: AnyStage) -> dict[str, Candidate]:
    """The partitions whose published version would be the wanted one if the code had not changed, by key; none that was computed before."""
    report = engine.planner.report([stage.name])
    stale = [
        status
        for status in report.statuses[stage.name].values()
        if status.required_action is RequiredAction.MAKE and status.published is not None
    ]
    made = engine.ledger.made({status.recipe for status in stale})
    found = {}
    for status in stale:
        recipe = report.recipe(status)
        if status.published and status.recipe not in made and _is_by_code_alone(status.published, recipe):
            found[status.partition] = Candidate(status.published, recipe)
    return found


def _is_by_code_alone(published: VersionSummary, wanted: Recipe) -> bool:
    before = replace(wanted, code_version=published.code_version)
    return published.code_version != wanted.code_version and before.digest == published.recipe


def sampled(candidates: Mapping[str, Candidate], sample: int) -> list[str]:
    """The partitions to compute: the newest, the oldest, then the largest, as many as are asked for."""
    keys = sorted(candidates)
    by_size = sorted(keys, key=lambda key: candidates[key].rows, reverse=True)
    return list(dict.fromkeys((keys[-1], keys[0], *by_size)))[:sample]


def _adopted(engine: Engine, stage: AnyStage, candidates: Mapping[str, Candidate], sample: int, by: str) -> Adopted:
    engine.ledger.attempts.remember_code(engine.graph.code_versions[stage.name])
    keys = sampled(candidates, sample)
    computed: list[tuple[Version, Audit]] = []
    for key in keys:
        made = _computed(engine, stage, candidates[key].recipe)
        if made[0].content != candidates[key].published.content:
            return Adopted(stage.name, (), (), _difference(engine, stage, candidates[key], made))
        computed.append(made)
    evidence = [
        Evidence(key, candidates[key].published.recipe, version.recipe, version.content)
        for key, (version, _) in zip(keys, computed, strict=True)
    ]
    trigger = Trigger(cause=f"code: adopted by {by}")
    for version, audit in computed:
        engine.publisher.publish_computed(version, audit, trigger)
    rest = {key: item for key, item in candidates.items() if key not in keys}
    adopted = tuple(_published(engine, stage, rest, computed[0][0], evidence, by))
    return Adopted(stage.name, tuple(keys), adopted)


def _computed(engine: Engine, stage: AnyStage, recipe: Recipe) -> tuple[Version, Audit]:
    """Compute a version and audit it; the ledger knows of the attempt alone."""
    attempts = engine.ledger.attempts
    with engine.claims.on(recipe.digest, wait=True):
        attempt = attempts.begin(recipe.digest, stage.name, recipe.partition)
        try:
            version, on_data = engine.repairs.mending(lambda: engine.computation.version(stage, recipe))
            audit = engine.publisher.audit(stage, version, on_data)
        except Exception as error:
            attempts.fail(attempt, format_error(error))
            raise
        attempts.complete(attempt)
    return version, audit


def _difference(engine: Engine, stage: AnyStage, candidate: Candidate, made: tuple[Version, Audit]) -> Comparison:
    published = engine.publisher.recorded(candidate.published.recipe)
    return compare(engine.ledger, engine.reader, stage, [Pair(candidate.recipe.partition, published, made)])


def _published(  # noqa: PLR0913, PLR0917 - what is adopted, and on what grounds
    engine: Engine,
    stage: AnyStage,
    rest: Mapping[str, Candidate],
    like: Version,
    evidence: Sequence[Evidence],
    by: str,
) -> Iterator[str]:
    """Publish the rest as what the new code would have made; yield those that were. What its rules have not accepted is left to be computed."""
    for key, candidate in rest.items():
        known = engine.publisher.known(stage, candidate.published.recipe)
        if known is None or known[1] is None or known[1].verdict is Verdict.REFUSED:
            continue
        version = replace(
            known[0],
            recipe=candidate.recipe.digest,
            code_version=candidate.recipe.code_version,
            inputs=candidate.recipe.inputs,
            columns=like.columns,
            schema_version=like.schema_version,
            id=0,
        )
        trigger = Trigger(action="adopted", cause=f"code: adopted by {by}")
        if engine.ledger.adoptions.record(
            version, known[0].recipe, known[1], engine.environment, trigger, evidence=evidence, by=by
        ):
            yield key
