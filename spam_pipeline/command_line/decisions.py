"""Printing a decision and its effect, and the decisions so far."""

from typing import Any

import typer

from spam_pipeline.command_line.terminal import out, print_json, print_table
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol.operating import ONLY_ACCEPTED_TOGETHER, Decided, Decision, DecisionKind


def print_decision(  # noqa: PLR0913 - one parameter per argument and option of the command
    action: str, version: str, by: str, reason: str, *, all_matching: bool, as_json: bool
) -> None:
    """Record a decision, and print what it changed for readers."""
    kind = DecisionKind(action)
    if all_matching and kind is not DecisionKind.ACCEPT:
        raise typer.BadParameter(ONLY_ACCEPTED_TOGETHER, param_hint="--all-matching")
    decided = Pipeline().decide(kind, version, by=by, reason=reason, all_matching=all_matching)
    if as_json:
        found = [_decided_to_json(item) for item in decided]
        print_json(found if all_matching else found[0])
        return
    for item in decided:
        out.print(
            f"{kind.value}ed {item.version.stage} {item.version.partition} {item.version.recipe[:16]}: {_effect(item)}"
        )
    out.print("downstream stages converge with the daemon, or with spam-pipeline converge")


def print_gap(day: str, hour: str | None, by: str, reason: str, *, as_json: bool) -> None:
    """Declare that nothing arrives for a day or an hour, and print the path of the declaration."""
    path = Pipeline().declare_gap(day, hour, by=by, reason=reason)
    if as_json:
        print_json({"path": path})
        return
    out.print(f"landed {path}; what waited for it converges with the daemon, or with spam-pipeline converge")


def print_decisions(*, as_json: bool) -> None:
    """Print the decisions for this environment and for production."""
    found = [_decision_to_json(decision) for decision in Pipeline().decisions()]
    if as_json:
        print_json(found)
        return
    columns = ("decided_at", "environment", "action", "stage", "partition", "by", "reason")
    print_table(columns, [[item[name] for name in columns] for item in found])
    out.print("decisions about suspicions are lines of incidents.csv: spam-pipeline suspicions ID")


def _decided_to_json(decided: Decided) -> dict[str, Any]:
    return {"version": decided.version.recipe, **_decision_to_json(decided.decision), "led_to": _effect(decided)}


def _decision_to_json(decision: Decision) -> dict[str, Any]:
    return {
        "environment": decision.environment,
        "stage": decision.stage,
        "partition": decision.partition,
        "content": decision.content,
        "action": decision.kind.value,
        "by": decision.by,
        "reason": decision.reason,
        "decided_at": decision.decided_at.isoformat(timespec="seconds"),
    }


def _effect(decided: Decided) -> str:
    if decided.outcome is None:
        return "recorded; readers are not affected, because another version is wanted now"
    if decided.outcome.refused:
        return "readers get the last accepted version before it, if there is one"
    return "published"
