"""Decisions: a person accepts a quarantined version or rejects a published one, once and with a reason.

The decision is recorded and takes effect at once where nothing has to be computed for it; what follows downstream is stale then,
and converges like any other change. `audit` knows what a decision covers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from spam_pipeline.protocol.execution.engine import Engine
from spam_pipeline.protocol.execution.outcome import Outcome
from spam_pipeline.protocol.execution.running import follow_decision
from spam_pipeline.protocol.foundation.errors import AlreadyDecided, PipelineError, UnknownVersion
from spam_pipeline.protocol.foundation.finding import Finding
from spam_pipeline.protocol.ledger.records import Audit, Decision, DecisionKind, Trigger, Verdict, Version

ONLY_ACCEPTED_TOGETHER = "all matching versions can only be accepted: reject one version at a time"
"""The answer to rejecting all matching versions."""

_LONGEST_NAME, _LONGEST_REASON = 100, 2000


class WrongDecision(PipelineError):
    """A decision without a name or a reason, or about a version that leaves nothing to decide."""


@dataclass(frozen=True)
class Decided:
    """A decision as it was recorded, the version it is about, and what it led to at once, if anything."""

    decision: Decision
    version: Version
    outcome: Outcome | None


def decide(engine: Engine, version: str, kind: DecisionKind, by: str, reason: str) -> Decided:
    """Record a decision about a version, named by its recipe or the first digits of it, with who made it and why.

    Raises `UnknownVersion` when that names none or several, `WrongDecision` when there is nothing to decide or the decision
    does not say by whom and why, and `AlreadyDecided` when somebody else has decided about the partition in the meantime.
    """
    who, why = require_name(by), require_reason(reason)
    found, last = _only(engine, version)
    before = engine.ledger.decisions(engine.environment, found.stage, found.partition)
    about_it = next((item for item in reversed(before) if item.content == found.content), None)
    _check_is_open(found, last, kind, about_it)
    decision = engine.ledger.decide(
        Decision(
            environment=engine.environment,
            version_id=found.id,
            stage=found.stage,
            partition=found.partition,
            content=found.content,
            kind=kind,
            by=who,
            reason=why,
            findings=last.refusing,
            decided_at=datetime.now(UTC),
        ),
        before[-1].id if before else 0,
    )
    trigger = Trigger(cause=f"decision: {kind.value} by {who}: {why}")
    return Decided(decision, found, follow_decision(engine, found, trigger))


def decide_all_matching(engine: Engine, version: str, kind: DecisionKind, by: str, reason: str) -> list[Decided]:
    """Accept a version, and all quarantined ones of its stage that the same code made and that were refused for the same.

    Raises like `decide`, and `WrongDecision` for a rejection: versions that passed have no refusal to match.
    """
    if kind is not DecisionKind.ACCEPT:
        raise WrongDecision(ONLY_ACCEPTED_TOGETHER)
    first = decide(engine, version, kind, by, reason)
    return [first, *(decide(engine, other, kind, by, reason) for other in _refused_like(engine, first))]


def _refused_like(engine: Engine, first: Decided) -> list[str]:
    """The recipes of quarantined versions of the same code, refused for the same as one that was just accepted."""
    accepted = _subjects(first.decision.findings)
    contract = engine.graph.contract_digests[first.version.stage]
    found = []
    for status in engine.planner.statuses([first.version.stage])[first.version.stage].values():
        version, last = (status.recipe and engine.ledger.audited(status.recipe, contract, engine.environment)) or (
            None,
            None,
        )
        if (
            version is not None
            and last is not None
            and last.verdict is Verdict.REFUSED
            and version.code_version == first.version.code_version
            and _subjects(last.refusing) <= accepted
        ):
            found.append(version.recipe)
    return found


def _subjects(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.rule, finding.about) for finding in findings}


def _only(engine: Engine, version: str) -> tuple[Version, Audit]:
    """The version that is named, with its last audit by the present contract, or else by an earlier one."""
    found = engine.ledger.find(version, engine.environment)
    if len(found) != 1:
        several = ", ".join(f"{item.stage} {item.partition} {item.recipe[:16]}" for item, _ in found)
        raise UnknownVersion(
            f"{version!r} names {f'several versions: {several}; give more digits' if found else 'no version'}: "
            "spam-pipeline versions STAGE PARTITION lists their recipes"
        )
    item, last = found[0]
    if item.stage not in engine.graph.stages:
        raise UnknownVersion(f"{version!r} is a version of {item.stage}, which is no stage any more")
    if item.id in engine.ledger.prunings.of([item.id]):
        raise UnknownVersion(
            f"{item.stage} {item.partition} {item.recipe[:16]} was pruned: converge computes it again if it is wanted"
        )
    known = engine.ledger.audited(item.recipe, engine.graph.contract_digests[item.stage], engine.environment)
    return item, (known[1] if known else None) or last


def _check_is_open(version: Version, last: Audit, kind: DecisionKind, before: Decision | None) -> None:
    """Check that only a quarantined version is accepted, and only another one rejected.

    An earlier decision counts even while no audit has followed it. Raises `WrongDecision`, or `AlreadyDecided` when that
    decision is the same one.
    """
    what = f"{version.stage} {version.partition} {version.recipe[:16]}"
    is_refused = last.verdict is Verdict.REFUSED
    if before and before.id > last.decision:
        if before.kind is kind:
            raise AlreadyDecided(f"{what}: {before.by} decided to {kind.value} it already: {before.reason}")
        is_refused = before.kind is DecisionKind.REJECT
    if is_refused == (kind is DecisionKind.ACCEPT):
        return
    earlier = f"; {before.by} decided to {before.kind.value} it: {before.reason}" if before else ""
    state = "is quarantined already" if is_refused else "passed its audit, so that there is nothing to accept"
    raise WrongDecision(f"{what} {state}{earlier}")


_PLACEHOLDERS = frozenset({"WHO", "TEXT"})
"""Words of printed commands, which stay in the ledger for ever if somebody pastes one as it is."""


def require_name(by: str) -> str:
    """Return who decides, with blanks normalised. Raises `WrongDecision` when it is empty, too long or not printable."""
    return _required(by, "by whom", _LONGEST_NAME)


def require_reason(reason: str) -> str:
    """Return why somebody decides, with blanks normalised. Raises like `require_name`."""
    return _required(reason, "why", _LONGEST_REASON)


def _required(text: str, what: str, longest: int) -> str:
    stripped = " ".join(text.split())
    if stripped in _PLACEHOLDERS:
        raise WrongDecision(f"a decision says {what}: {stripped} stands for that in the command that was printed")
    if not stripped or len(stripped) > longest or not stripped.isprintable():
        raise WrongDecision(f"a decision says {what} in 1 to {longest} printable characters")
    return stripped
