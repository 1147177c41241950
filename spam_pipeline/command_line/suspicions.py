"""Printing suspicions, ranked or one in full, and what somebody decided about one."""

import shlex
from typing import Any

from spam_pipeline.command_line.terminal import out, print_json, print_narrow_table, print_record, print_table
from spam_pipeline.currencies import as_amount
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.suspicions import Suspicion, SuspicionDetails

_FAMILIES_NAMED = 3
_COLUMNS = ("queue", "rank", "suspicion", "evidence", "plays", "devices")


def print_suspicions(day: str | None, queue: str | None, limit: int, *, as_json: bool) -> None:
    """Print the first suspicions of each queue on a day."""
    found = Pipeline().suspicions(day, queue)
    first = [item for item in found.suspicions if item.rank <= limit]
    if as_json:
        print_json({"day": found.day, "suspicions": [_as_json(item) for item in first]})
        return
    out.print(f"{found.day}: {len(first):,} of {len(found.suspicions):,} suspicions")
    if first:
        print_narrow_table(_COLUMNS, [_cells(item) for item in first], [_summary(item) for item in first])
        out.print("spam-pipeline suspicions SUSPICION has everything about one, and how to decide it")


def print_suspicion(suspicion: str, *, as_json: bool) -> None:
    """Print everything about a suspicion, and the commands that decide it."""
    found = Pipeline().suspicion(suspicion)
    if as_json:
        print_json(_details_as_json(found))
    else:
        _print_details(found)


def print_suspicion_decision(  # noqa: PLR0913, PLR0917 - one parameter per argument and option of the command
    action: str,
    suspicion: str,
    by: str,
    reason: str,
    first_day: str | None,
    last_day: str | None,
    devices: list[str] | None,
    *,
    as_json: bool,
) -> None:
    """Decide a suspicion, and print what has landed."""
    decided = Pipeline().decide_suspicion(
        action, suspicion, by=by, reason=reason, first_day=first_day, last_day=last_day, devices=devices or ()
    )
    if as_json:
        print_json(decided._asdict())
        return
    print_record(decided.as_text(), as_json=False)
    out.print("what it touches converges with the daemon, or with spam-pipeline converge")


def _cells(item: Suspicion) -> list[str]:
    counts = f"{item.evidence:.1f}", f"{item.plays:,}", f"{item.devices:,}"
    return [item.queue, str(item.rank), item.suspicion_id, *counts]


def _summary(item: Suspicion) -> str:
    named = (
        f"{family['family']} {family['value']:.3g} (usual {family['usual']:.3g})"
        for family in item.families[:_FAMILIES_NAMED]
    )
    return f"{item.attack_type} since {item.first_day}, worth {_worth(item)}: {', '.join(named)}"


def _worth(item: Suspicion) -> str:
    amounts = (f"{as_amount(pool['amount_minor'], pool['currency'])} {pool['currency']}" for pool in item.money)
    return ", ".join(amounts) or "unknown"


def _as_json(item: Suspicion) -> dict[str, Any]:
    return {**item._asdict(), "uploader_keys": [f"{key:016x}" for key in item.uploader_keys]}


def _details_as_json(found: SuspicionDetails) -> dict[str, Any]:
    latest = found.standing.latest
    return {
        **_as_json(latest),
        "first_day": found.standing.first_day,
        "titles": found.titles,
        "device_keys": [key_as_text(key) for key in found.standing.device_keys],
        "decided": [line._asdict() for line in found.decided],
    }


def _print_details(found: SuspicionDetails) -> None:
    latest, keys = found.standing.latest, found.standing.device_keys
    out.print(f"{latest.suspicion_id}: rank {latest.rank} of the queue {latest.queue} on {latest.last_day}")
    facts = {
        "attack type": latest.attack_type,
        "evidence": f"{latest.evidence:.1f}",
        "days": f"{found.standing.first_day} to {latest.last_day}",
        "plays": f"{latest.plays:,}, of which {latest.plays_of_day:,} on the last day",
        "devices": f"{len(keys):,}, such as {', '.join(key_as_text(key) for key in keys[:_FAMILIES_NAMED])}",
        "worth": _worth(latest),
        "uploaders": ", ".join(f"{key:016x}" for key in latest.uploader_keys) or "unknown",
        "decision": _decision(found),
    }
    print_record(facts, as_json=False)
    out.print(f"\nevidence, and what is usual among its {latest.peers:,} peers of equal size:")
    rows = [
        (item["family"], f"{item['value']:.3g}", f"{item['usual']:.3g}", f"{item['evidence']:.1f}")
        for item in latest.families
    ]
    print_table(("family", "value", "usual", "evidence"), rows)
    out.print("\nits most played tracks:")
    print_table(("track", "title"), [(track, _shown(found.titles.get(track, ""))) for track in latest.track_ids])
    out.print(
        "\nto decide it, or with --from DAY, --until DAY and --device KEY a part of it (--json lists every device):"
    )
    for action in ("confirm", "clear"):
        out.print(f"spam-pipeline decide {action} {shlex.quote(latest.suspicion_id)} --by WHO --reason TEXT")


def _decision(found: SuspicionDetails) -> str:
    if not found.decided:
        return "none yet"
    first = found.decided[0]
    return f"{first.status} by {first.decided_by or 'nobody'}, {len(found.decided):,} lines: {_shown(first.note)}"


def _shown(text: str) -> str:
    """Text that strangers wrote, without what would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
