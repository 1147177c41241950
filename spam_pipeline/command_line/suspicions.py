"""Printing suspicions, ranked or one in full, and what somebody decided about one."""

import shlex
from typing import Any

from spam_pipeline.command_line.terminal import out, print_json, print_narrow_table, print_record, print_table
from spam_pipeline.currencies import as_amount
from spam_pipeline.ingestion.pseudonyms import key_as_text
from spam_pipeline.operations.held_back import NOTHING, HeldBack, held_back
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.operations.suspicions import Suspicion, SuspicionDetails
from spam_pipeline.trust_and_safety.suspicions_contract import HELD_FROM

_FAMILIES_NAMED = 3
_AMOUNTS_SHOWN = 3
_COLUMNS = ("queue", "rank", "suspicion", "evidence", "held", "plays", "devices")


def print_suspicions(day: str | None, queue: str | None, limit: int, *, as_json: bool) -> None:
    """Print the first suspicions of each queue on a day."""
    pipeline = Pipeline()
    found = pipeline.suspicions(day, queue)
    first = [item for item in found.suspicions if item.rank <= limit]
    held = held_back(pipeline.engine, first)
    with_held = [(item, held.get(item.suspicion_id, NOTHING)) for item in first]
    if as_json:
        print_json({"day": found.day, "suspicions": [_as_json(*item) for item in with_held]})
        return
    out.print(f"{found.day}: {len(first):,} of {len(found.suspicions):,} suspicions, of which {len(held):,} hold plays")
    if first:
        out.print(
            "held are the plays that wait for the decision, as on its report page; plays are those of the group that earn"
        )
        print_narrow_table(_COLUMNS, [_cells(*item) for item in with_held], [_summary(*item) for item in with_held])
        out.print("spam-pipeline suspicions SUSPICION has everything about one, and how to decide it")


def print_suspicion(suspicion: str, *, as_json: bool) -> None:
    """Print everything about a suspicion, and the commands that decide it."""
    pipeline = Pipeline()
    found = pipeline.suspicion(suspicion)
    held = held_back(pipeline.engine, [found.standing.latest]).get(suspicion, NOTHING)
    if as_json:
        print_json(_details_as_json(found, held))
    else:
        _print_details(found, held)


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


def _cells(item: Suspicion, held: HeldBack) -> list[str]:
    counts = f"{item.evidence:.1f}", f"{held.plays:,}", f"{item.plays:,}", f"{item.devices:,}"
    return [item.queue, str(item.rank), item.suspicion_id, *counts]


def _summary(item: Suspicion, held: HeldBack) -> str:
    named = (
        f"{family['family']} {family['value']:.3g} (usual {family['usual']:.3g})"
        for family in item.families[:_FAMILIES_NAMED]
    )
    waits = _withheld(held, _AMOUNTS_SHOWN) if held.plays else _why_nothing_is_held(item)
    return f"{item.attack_type} since {item.first_day}, {waits}: {', '.join(named)}"


def _why_nothing_is_held(item: Suspicion) -> str:
    if item.evidence < HELD_FROM[item.queue]:
        return f"only listed, because evidence is below {HELD_FROM[item.queue]:g}"
    return "nothing waits, because its plays are decided otherwise or spam already"


def _withheld(held: HeldBack, most: int | None = None) -> str:
    amounts = [f"{as_amount(amount, currency)} {currency}" for currency, amount in held.money]
    rest = f" and {len(amounts) - most} more" if most and len(amounts) > most else ""
    return f"withheld {', '.join(amounts[:most])}{rest}" if amounts else "no money withheld yet"


def _worth(item: Suspicion) -> str:
    amounts = (f"{as_amount(pool['amount_minor'], pool['currency'])} {pool['currency']}" for pool in item.money)
    return ", ".join(amounts) or "unknown"


def _as_json(item: Suspicion, held: HeldBack) -> dict[str, Any]:
    withheld = [{"currency": currency, "amount_minor": amount} for currency, amount in held.money]
    keys = [f"{key:016x}" for key in item.uploader_keys]
    return {**item._asdict(), "uploader_keys": keys, "plays_held": held.plays, "withheld": withheld}


def _details_as_json(found: SuspicionDetails, held: HeldBack) -> dict[str, Any]:
    latest = found.standing.latest
    return {
        **_as_json(latest, held),
        "first_day": found.standing.first_day,
        "titles": found.titles,
        "device_keys": [key_as_text(key) for key in found.standing.device_keys],
        "decided": [line._asdict() for line in found.decided],
    }


def _print_details(found: SuspicionDetails, held: HeldBack) -> None:
    latest, keys = found.standing.latest, found.standing.device_keys
    out.print(f"{latest.suspicion_id}: rank {latest.rank} of the queue {latest.queue} on {latest.last_day}")
    facts = {
        "attack type": latest.attack_type,
        "evidence": f"{latest.evidence:.1f}",
        "days": f"{found.standing.first_day} to {latest.last_day}",
        "plays held": f"{held.plays:,}, {_withheld(held)}" if held.plays else _why_nothing_is_held(latest),
        "plays of the group": f"{latest.plays:,}, of which {latest.plays_of_day:,} on the last day",
        "devices": f"{len(keys):,}, such as {', '.join(key_as_text(key) for key in keys[:_FAMILIES_NAMED])}",
        "all worth about": _worth(latest),
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
