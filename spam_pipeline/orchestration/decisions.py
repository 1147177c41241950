"""The jobs `decide` and `decide_suspicion`: what a person decides from the launchpad of the UI, about a version or a suspicion.

The protocol knows what a decision about a version is and what follows from it, and what decides a suspicion is handed in; the
command `spam-pipeline decide` does the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.evaluations import evaluations
from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.protocol import PipelineError
from spam_pipeline.protocol.operating import Decided, DecisionKind, Engine, decide, decide_all_matching

DecideSuspicion = Callable[..., Mapping[str, str]]
"""Decides a suspicion, given the fields of the launchpad by name; returns facts about it. Raises `PipelineError` with the reason."""

_BY = dg.Field(str, description="who decides: a name that others know")

_ASKED = {
    "action": dg.Field(
        dg.Enum("accept or reject", [dg.EnumValue(kind.value) for kind in DecisionKind]),
        description=(
            "accept: publish a quarantined version; "
            "reject: quarantine a published one, and let the last accepted one before it be read again"
        ),
    ),
    "version": dg.Field(str, description="the version's recipe or the first 16 digits of it, as its checks show it"),
    "by": _BY,
    "reason": dg.Field(str, description="why, in words for whoever asks later; kept in the ledger for ever"),
    "all_matching": dg.Field(
        bool, default_value=False, description="accept as well what the same code made and is quarantined for the same"
    ),
}
"""Fields of the launchpad. Not a config class of Dagster's, whose texts may name variables of the server's environment."""

_ASKED_OF_SUSPICIONS = {
    "action": dg.Field(
        dg.Enum("confirm or clear", [dg.EnumValue("confirm"), dg.EnumValue("clear")]),
        description="confirm: its plays are spam; clear: they are legitimate, and are paid",
    ),
    "suspicion": dg.Field(str, description="the id of the suspicion, as suspected_incidents shows it"),
    "by": _BY,
    "reason": dg.Field(str, description="why, in words for whoever asks later; kept in incidents.csv"),
    "first_day": dg.Field(str, is_required=False, description="decide it from this day on, YYYY-MM-DD"),
    "last_day": dg.Field(str, is_required=False, description="decide it up to the end of this day, YYYY-MM-DD"),
    "devices": dg.Field(
        [str], default_value=[], description="decide these devices alone, each as key: and 16 hexadecimal digits"
    ),
}

_FLAT = dg.ConfigMapping(lambda asked: {"ops": {"decide_about_version": {"config": asked}}}, config_schema=_ASKED)
"""The launchpad asks for these fields alone, without the layers that Dagster puts around them."""

_FLAT_OF_SUSPICIONS = dg.ConfigMapping(
    lambda asked: {"ops": {"decide_about_suspicion": {"config": asked}}}, config_schema=_ASKED_OF_SUSPICIONS
)


def decision_job(keys: AssetKeys = UNPREFIXED) -> dg.JobDefinition:
    """The job, launched with the fields that it asks for. It fails with the reason when a decision is not recorded."""

    @dg.op(
        required_resource_keys={ENGINE},
        config_schema=_ASKED,
        out=dg.Out(dg.Nothing),
        description="Records a decision and lets it take effect.",
    )
    def decide_about_version(context: dg.OpExecutionContext) -> None:
        engine: Engine = context.resources.engine
        asked: dict[str, Any] = context.op_config
        try:
            words = (asked["version"], DecisionKind(asked["action"]), asked["by"], asked["reason"])
            decided, *others = (
                decide_all_matching(engine, *words) if asked["all_matching"] else [decide(engine, *words)]
            )
        except PipelineError as problem:
            raise dg.Failure(str(problem), allow_retries=False) from problem
        _report(context.instance, engine, decided, keys)
        for item in (decided, *others):
            context.log.info("%s", _what_followed(item))
        context.add_output_metadata(_metadata(decided))

    @dg.job(
        name="decide",
        config=_FLAT,
        description="Accept a quarantined version, or reject a published one. What rests on it follows by itself.",
    )
    def decide_once() -> None:
        decide_about_version()

    return decide_once


def suspicion_job(decide_suspicion: DecideSuspicion) -> dg.JobDefinition:
    """The job about suspicions, launched with the fields that it asks for."""

    @dg.op(
        config_schema=_ASKED_OF_SUSPICIONS,
        out=dg.Out(dg.Nothing),
        description="Lands a decision about a suspicion, as lines of incidents.csv.",
    )
    def decide_about_suspicion(context: dg.OpExecutionContext) -> None:
        try:
            decided = decide_suspicion(**context.op_config)
        except PipelineError as problem:
            raise dg.Failure(str(problem), allow_retries=False) from problem
        context.add_output_metadata({name: dg.MetadataValue.text(text) for name, text in decided.items()})

    @dg.job(
        name="decide_suspicion",
        config=_FLAT_OF_SUSPICIONS,
        description="Confirm a suspicion as spam, or clear it, all of it or a part. What it touches follows by itself.",
    )
    def decide_suspicion_once() -> None:
        decide_about_suspicion()

    return decide_suspicion_once


def _report(instance: dg.DagsterInstance, engine: Engine, decided: Decided, keys: AssetKeys) -> None:
    """Show at once what readers have now and, if the version is quarantined, why; nobody has to wait for a sensor."""
    expected = engine.graph.expected()
    with EventReporter(instance, engine.ledger, engine.environment, expected, keys) as reporter:
        reporter.report()
        if decided.outcome and decided.outcome.refused:
            version, audit = decided.outcome.version, decided.outcome.audit
            reporter.report_checks(evaluations(expected, version, audit, keys, engine.environment))


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
