"""Incidents declared by experts about some of the campaigns, days after they began.

Loop bots, bot farms, bought plays and takeovers are confirmed; device farms are suspected; viral releases were suspected and
then cleared. Everything else stays undeclared, attackers with a skill above all, and a declaration holds only what experts could know.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from spam_pipeline.simulation.catalogue import Catalogue
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.randomness import generator
from spam_pipeline.simulation.scenario import Campaign

_COLUMNS: Final = (
    "incident_id",
    "status",
    "attack_type",
    "entity_type",
    "entity_id",
    "starts_at",
    "ends_at",
    "decided_by",
    "decided_at",
    "note",
)
_SCHEMA: Final = dict.fromkeys(_COLUMNS, pl.String)


class _Verdict(NamedTuple):
    status: str
    attack_type: str
    entity_type: str
    note: str


_VERDICTS: Final = {
    "loop_bot": _Verdict("confirmed", "loop_bot", "user", "Round the clock, one track, gaps constant to the second."),
    "bot_farm": _Verdict("confirmed", "bot_farm", "ip", "Hosting network, no listener behind it."),
    "paid_plays": _Verdict("confirmed", "paid_plays", "user", "Bought; the artist knows nothing about it."),
    "account_takeover": _Verdict("confirmed", "account_takeover", "device", "Owners say these devices are not theirs."),
    "device_farm": _Verdict("suspected", "device_farm", "ip", "One build, few addresses; waiting for the provider."),
    "viral_release": _Verdict(
        "cleared", "paid_plays", "track", 'Looked bought, but the artist was on television: "real".'
    ),
}


def incidents_table(
    casts: Sequence[tuple[Campaign, pl.DataFrame]], known: Catalogue, start_ms: int, seed: int
) -> pl.DataFrame:
    """Build `incidents.csv`: one row per incident and entity. Only the header where no campaign is declared."""
    if not any(campaign.scenario.is_spam for campaign, _ in casts):
        return pl.DataFrame(schema=_SCHEMA)
    declared = [
        (campaign, cast) for campaign, cast in casts if campaign.scenario.name in _VERDICTS and not campaign.skill
    ]
    tables = [_declaration(campaign, cast, known, start_ms, seed) for campaign, cast in declared]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *tables]).sort("decided_at", "incident_id", "entity_id")


def _declaration(campaign: Campaign, cast: pl.DataFrame, known: Catalogue, start_ms: int, seed: int) -> pl.DataFrame:
    verdict = _VERDICTS[campaign.scenario.name]
    column = f"{verdict.entity_type}_id" if verdict.entity_type != "ip" else "ip"
    is_track = verdict.entity_type == "track"
    entities = known.track_id.gather(known.planted[campaign.serial]) if is_track else cast[column]
    rng = generator(seed, f"incident of {campaign.scenario.name}", campaign.number)
    ends_ms = -(-campaign.ends_ms // HOUR_MS) * HOUR_MS
    decided_ms = campaign.begins_ms + int(rng.integers(2 * DAY_MS, 5 * DAY_MS))
    values = {
        "incident_id": f"incident-{campaign.scenario.name}-{campaign.number + 1}",
        "status": verdict.status,
        "attack_type": verdict.attack_type,
        "entity_type": verdict.entity_type,
        "entity_id": pl.col("entity_id"),
        "starts_at": _instant(start_ms + campaign.begins_ms),
        "ends_at": _instant(start_ms + ends_ms),
        "decided_by": ("mira@trust-and-safety.example", "jonas@trust-and-safety.example")[int(rng.integers(2))],
        "decided_at": _instant(start_ms + decided_ms),
        "note": verdict.note,
    }
    rows = entities.unique(maintain_order=True).alias("entity_id").to_frame()
    return rows.select(
        **{name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in values.items()}
    )


def _instant(moment_ms: int) -> str:
    return f"{np.datetime64(moment_ms // 1000, 's')}Z"
