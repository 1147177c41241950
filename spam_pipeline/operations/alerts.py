"""Alerts: what somebody should be notified of, as it is now, in words. Nothing is compared and nothing is sent here, see `notifications`.

Texts go to chats and mails: they have names of stages, partitions and people who decided, numbers of findings, and the class of an error. They
have no message of an error, no reason that somebody wrote, no name of a file or a track, and nothing of a record, because any of those may name people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from spam_pipeline.dagster_links import Place, decision_path, evidence_path
from spam_pipeline.protocol.operating import (
    Attempts,
    DecisionKind,
    Engine,
    Late,
    Overview,
    PartitionStatus,
    StalenessReport,
    Stop,
    Subject,
    Waiting,
    place_of,
    shell_command,
    stops,
    what_readers_have,
)
from spam_pipeline.settings import Settings

SUSPICIONS, ISSUED_STATEMENTS = "suspected_incidents", "issued_statements"
"""The stages whose owners hear of decided suspicions, and of issued months."""

_NEWS = timedelta(days=7)
"""For so long a target that was away, or has just been named, is still notified of what somebody did."""


class Kind(Enum):
    """The kinds of alerts, in the order in which messages have them; the values are how the ledger keeps them."""

    STOPPED = "stopped"
    REFUSED = "refused"
    FAILED = "failed for good"
    LATE = "late"
    HELD = "held"
    DECIDED = "decided"
    ISSUED = "issued"

    @property
    def ends(self) -> bool:
        """Return True for a state, which is over one day; False for what somebody did."""
        return self not in {Kind.DECIDED, Kind.ISSUED}


@dataclass(frozen=True)
class Alert:
    """Something that somebody should know: about what, whose it is, and in words; `links` are pages with what they show.

    `mark` tells a cause from another one of the same subject, of which its owner is notified anew.
    """

    kind: Kind
    about: str
    mark: str
    owner: str
    title: str
    consequence: str = ""
    command: str = ""
    links: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> Subject:
        """The subject as the ledger has it."""
        return Subject(self.kind.value, self.about)


def alerts_of(found: Overview, settings: Settings, *, only_late: bool = False) -> list[Alert]:
    """The alerts of an environment, by how its stages stand; with `only_late`, those alone, for less work."""
    engine, report, now = found.engine, found.report, found.at
    of_late = [_of_late(engine, report, item, settings) for item in found.late]
    if only_late:
        return of_late
    return [
        *(_of_stop(item, engine.environment, settings) for item in stops(engine)),
        *(_of_waiting(item, settings) for item in found.waiting),
        *(_of_failure(engine, *item, settings) for item in _failed_for_good(engine, report)),
        *of_late,
        *_of_decisions(engine, settings, now),
        *_of_deeds(engine, now),
    ]


def note_decided_suspicion(engine: Engine, suspicion: str, status: str, by: str) -> None:
    """Note in the ledger that somebody decided a suspicion: the landing zone has the decision, and nobody observes what was there before."""
    _note(engine, Kind.DECIDED, f"suspicion {suspicion}", f"{status} by {by}")


def note_issued(engine: Engine, month: str, by: str) -> None:
    """Note in the ledger that somebody issued a month."""
    _note(engine, Kind.ISSUED, f"the statement of {month}", f"issued by {by}")


def _note(engine: Engine, kind: Kind, about: str, mark: str) -> None:
    engine.ledger.notices.record(engine.environment, [(Subject(kind.value, about), mark)], [])


def _of_stop(item: Stop, environment: str, settings: Settings) -> Alert:
    return Alert(
        Kind.STOPPED,
        item.what,
        mark=item.error,
        owner="",
        title=f"{item.what} stopped: {item.error}",
        consequence="nothing new is published; readers keep what they have",
        command=shell_command("converge", environment),
        links=(("evidence", f"{settings.dagster_url}/runs"),),
    )


def _of_waiting(item: Waiting, settings: Settings) -> Alert:
    kind = Kind.REFUSED if item.recipe else Kind.HELD
    return Alert(
        kind,
        item.place,
        mark="; ".join(sorted({f"{finding.rule} {finding.about}" for finding in item.findings})),
        owner=item.owner,
        title=f"{item.place} {'was refused' if kind is Kind.REFUSED else 'is held'}: {item.why}",
        consequence=item.consequence,
        command=item.command,
        links=(
            *_evidence(item, settings),
            *([("to decide", settings.dagster_url + decision_path(*item.decision))] if item.decision else []),
        ),
    )


def _failed_for_good(engine: Engine, report: StalenessReport) -> Iterator[tuple[PartitionStatus, Attempts]]:
    """The partitions that nobody tries again unasked, each with its tries."""
    runnable = [status for by_key in report.statuses.values() for status in by_key.values() if status.can_run]
    tried = engine.planner.attempts(runnable)
    for status in runnable:
        attempts = tried.get(status.recipe)
        if attempts and engine.graph.stages[status.stage].retry.next_try(attempts) is None:
            yield status, attempts


def _of_failure(engine: Engine, status: PartitionStatus, tried: Attempts, settings: Settings) -> Alert:
    place = place_of(status.stage, status.partition)
    error = tried.error.partition(":")[0] if tried.error else "its process died"
    return Alert(
        Kind.FAILED,
        place,
        mark=status.recipe,
        owner=engine.graph.stages[status.stage].owner,
        title=f"{place} failed {tried.count} times and is not tried again by itself: {error}",
        consequence=_consequence(engine, status.stage, status),
        command=shell_command(f"converge {status.stage}", engine.environment),
        links=_evidence(status, settings),
    )


def _of_late(engine: Engine, report: StalenessReport, item: Late, settings: Settings) -> Alert:
    place = place_of(item.stage, item.partition)
    return Alert(
        Kind.LATE,
        place,
        mark="",
        owner=engine.graph.stages[item.stage].owner,
        title=f"{place} is late, it was due {item.due:%Y-%m-%d %H:%M} UTC: {item.why}",
        consequence=_consequence(engine, item.stage, report.statuses[item.stage].get(item.partition)),
        command=shell_command(f"status {item.stage}", engine.environment),
        links=_evidence(item, settings),
    )


def _consequence(engine: Engine, stage: str, status: PartitionStatus | None) -> str:
    """What the readers of a partition have meanwhile."""
    is_published = status is not None and status.published is not None
    return what_readers_have(engine.graph.read_by[stage], "what is published" if is_published else "")


def _evidence(about: Place, settings: Settings) -> tuple[tuple[str, str], ...]:
    return (("evidence", settings.dagster_url + evidence_path(about, settings.asset_prefix)),)


def _of_decisions(engine: Engine, settings: Settings, now: datetime) -> Iterator[Alert]:
    for decision in engine.ledger.all_decisions(engine.environment):
        if decision.environment == engine.environment and now - decision.decided_at < _NEWS:
            place = place_of(decision.stage, decision.partition)
            stage = engine.graph.stages.get(decision.stage)
            yield Alert(
                Kind.DECIDED,
                f"decision {decision.id}",
                mark="",
                owner=stage.owner if stage else "",
                title=f"{place} was {_PAST[decision.kind]} by {decision.by}",
                command=shell_command("decisions", engine.environment),
                links=_evidence(decision, settings),
            )


_PAST = {DecisionKind.ACCEPT: "accepted", DecisionKind.REJECT: "rejected"}


def _of_deeds(engine: Engine, now: datetime) -> Iterator[Alert]:
    """What people did that only a note in the ledger tells."""
    heard_by = {Kind.DECIDED.value: SUSPICIONS, Kind.ISSUED.value: ISSUED_STATEMENTS}
    for notice in engine.ledger.notices.open(engine.environment).values():
        if notice.subject.kind in heard_by and now - notice.begun_at < _NEWS:
            stage = engine.graph.stages.get(heard_by[notice.subject.kind])
            yield Alert(
                Kind(notice.subject.kind),
                notice.subject.about,
                mark=notice.mark,
                owner=stage.owner if stage else "",
                title=f"{notice.subject.about} was {notice.mark}",
            )
