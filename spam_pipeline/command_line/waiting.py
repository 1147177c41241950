"""Printing what waits for somebody, with everything that a person needs to decide."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from spam_pipeline.command_line.terminal import out, print_json
from spam_pipeline.dagster_links import decision_path, evidence_path
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import NotPublished
from spam_pipeline.protocol.operating import Waiting, shell_command
from spam_pipeline.settings import Settings


def print_waiting(*, as_json: bool) -> None:
    """Print each partition that waits, or that none does."""
    pipeline = Pipeline()
    found = pipeline.waiting()
    if as_json:
        print_json([_to_json(item, pipeline.settings) for item in found])
        return
    for item in found:
        _print(item, pipeline.settings)
    if not found:
        out.print("no partition waits for anybody")
    with suppress(NotPublished):
        day, suspicions = pipeline.suspicions()
        if suspicions:
            out.print(f"suspected on {day}: {len(suspicions)} groups of plays: spam-pipeline suspicions")


def _print(item: Waiting, settings: Settings) -> None:
    age = f" for {_age(datetime.now(UTC) - item.since)}" if item.since else ""
    out.print(f"{item.place}, of {item.owner}, waits{age}: {item.why_in_full}", soft_wrap=True)
    out.print(f"  what follows: {item.consequence}", soft_wrap=True)
    diff = f"{shell_command(f'diff {item.place}', item.environment)}; " if item.recipe else ""
    out.print(f"  evidence: {diff}{settings.dagster_url}{evidence_path(item, settings.asset_prefix)}", soft_wrap=True)
    if item.command:
        launchpad = f"; {settings.dagster_url}{decision_path(*item.decision)}" if item.decision else ""
        out.print(f"  to decide: {item.command}{launchpad}", soft_wrap=True)
    if item.recipe:
        out.print("  or land better data, or fix the code: the next version is audited afresh")


def _to_json(item: Waiting, settings: Settings) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(item).items() if name not in {"reason", "findings"}}
    return {
        **kept,
        "why": item.why_in_full,
        "consequence": item.consequence,
        "command": item.command,
        "evidence": settings.dagster_url + evidence_path(item, settings.asset_prefix),
        "launchpad": settings.dagster_url + decision_path(*item.decision) if item.decision else None,
    }


def _age(since: timedelta) -> str:
    """How long something waits, in the largest unit that fits.

    >>> _age(timedelta(hours=30)), _age(timedelta(minutes=5))
    ('1 d', '5 min')
    """
    seconds = round(since.total_seconds())
    units = ((86_400, "d"), (3_600, "h"), (60, "min"))
    return next((f"{seconds // size} {unit}" for size, unit in units if seconds >= size), f"{seconds} s")
