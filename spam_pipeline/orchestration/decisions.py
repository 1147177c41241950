"""The job `decide`: a person accepts a quarantined version or rejects a published one from the launchpad of the UI.

The protocol knows what a decision is and what follows from it; the command `spam-pipeline decide` does the same.
"""

from typing import Any

import dagster as dg

from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.evaluations import evaluations
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import Decided, DecisionKind, Engine, decide, decide_all_matching

_ASKED = {
    "action": dg.Field(
        dg.Enum("accept or reject", [dg.EnumValue(kind.value) for kind in DecisionKind]),
        description=(
            "accept: publish a quarantined version; "
            "reject: quarantine a published one, and let the last accepted one before it be read again"
        ),
    ),
    "version": dg.Field(str, description="the version's recipe or the first 16 digits of it, as its checks show it"),
    "by": dg.Field(str, description="who decides: a name that others know"),
    "reason": dg.Field(str, description="why, in words for whoever asks later; kept in the ledger for ever"),
    "all_matching": dg.Field(
        bool, default_value=False, description="accept as well what the same code made and is quarantined for the same"
    ),
}
"""Fields of the launchpad. Not a config class of Dagster's, whose texts may name variables of the server's environment."""

_FLAT = dg.ConfigMapping(lambda asked: {"ops": {"decide_about_version": {"config": asked}}}, config_schema=_ASKED)
"""The launchpad asks for these fields alone, without the layers that Dagster puts around them."""


@dg.op(
    required_resource_keys={ENGINE},
    config_schema=_ASKED,
    out=dg.Out(dg.Nothing),
    description="Records a decision and lets it take effect.",
)
def decide_about_version(context: dg.OpExecutionContext) -> None:
    """Record the decision; raise `dagster.Failure` with the reason when it is not recorded."""
    engine: Engine = context.resources.engine
    asked: dict[str, Any] = context.op_config
    try:
        words = (asked["version"], DecisionKind(asked["action"]), asked["by"], asked["reason"])
        decided, *others = decide_all_matching(engine, *words) if asked["all_matching"] else [decide(engine, *words)]
    except PipelineError as problem:
        raise dg.Failure(str(problem), allow_retries=False) from problem
    _report(context.instance, engine, decided)
    for item in (decided, *others):
        context.log.info("%s", _what_followed(item))
    context.add_output_metadata(_metadata(decided))


def decision_job() -> dg.JobDefinition:
    """The job, launched with the fields that it asks for."""

    @dg.job(
        name="decide",
        config=_FLAT,
        description="Accept a quarantined version, or reject a published one. What rests on it follows by itself.",
    )
    def decide_once() -> None:
        decide_about_version()

    return decide_once


def _report(instance: dg.DagsterInstance, engine: Engine, decided: Decided) -> None:
    """Show at once what readers have now and, if the version is quarantined, why; nobody has to wait for a sensor."""
    expected = engine.graph.expected()
    reporter = EventReporter(instance, engine.ledger, engine.environment, expected)
    reporter.report()
    if decided.outcome and decided.outcome.refused:
        reporter.report_checks(evaluations(expected, decided.outcome.version, decided.outcome.audit))
    reporter.close()


def _what_followed(decided: Decided) -> str:
    """The immediate effect of a decision, in words."""
    version, outcome = decided.version, decided.outcome
    what = f"{version.stage} {version.partition} {version.recipe[:16]}"
    if outcome is None:
        return f"{what} is not what the code and the inputs of now call for, so that nothing changes"
    if not outcome.refused:
        return f"{what} is published; what rests on it follows"
    return f"{what} is quarantined; what rests on it follows"


def _metadata(decided: Decided) -> dict[str, dg.MetadataValue[Any]]:
    """The decision as it was recorded. Names and reasons are what people wrote: text, never Markdown."""
    decision = decided.decision
    facts = {
        "decision": f"{decision.kind.value} in {decision.environment}",
        "stage": decision.stage,
        "partition": decision.partition,
        "recipe": decided.version.recipe,
        "by": decision.by,
        "reason": decision.reason,
        "covers": "; ".join(map(str, decision.findings)) or "no findings",
        "what followed": _what_followed(decided),
    }
    return {name: dg.MetadataValue.text(text) for name, text in facts.items()}
