"""Groups of tracks that are played for the money: an attack spread over a few tracks, none of which needs to have a spike.

A track belongs to the group when a decisive rule of `clues` applies: its plays stop as soon as they are paid. Spikes of single
tracks are in `findings`.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from spam_pipeline.protocol import Clue, Finding, Severity
from spam_pipeline.trust_and_safety.spikes.clues import (
    ATTACK,
    Row,
    Spike,
    decisive_clues,
    evidence,
    is_material,
    weighed,
)

LEAST_RISE: Final = 2.0
"""The multiple of the usual plays of such tracks that makes a spike of the group."""

LEAST_TRACK_PLAYS: Final = 5
"""Of fewer plays, several can stop early by chance."""


def group_findings(suspects: Sequence[Row], past: Sequence[Sequence[Row]]) -> list[Finding]:
    """Warn of a day on which such tracks together have far more plays than usual.

    `suspects` are rows of `evidence_of_tracks`, and `past` those of past days, whose median is the usual number.
    """
    group = [row for row in suspects if _is_played_for_money(row)]
    if not group or not past:
        return []
    plays, day_plays = _plays(group), group[0]["day_plays"]
    shares = [_plays([row for row in rows if _is_played_for_money(row)]) / rows[0]["day_plays"] for rows in past]
    usual = statistics.median(shares) * day_plays
    if plays < LEAST_RISE * usual or not is_material(plays - usual, day_plays):
        return []
    name = "tracks cut off as soon as they are paid"
    seen = (
        f"{plays:,} plays, {plays / day_plays:.1%} of the day, of {len(group)} such tracks, which looks like one attack"
    )
    return [
        Finding(
            rule="spike",
            about=name,
            severity=Severity.WARN,
            expected=f"about {usual:,.0f} plays judging by {len(past)} days",
            seen=seen,
            size=plays / day_plays,
            evidence=evidence(name, group, _pooled_clues(group, [row for row in suspects if row not in group])),
        )
    ]


def _is_played_for_money(track: Row) -> bool:
    return track["plays"] >= LEAST_TRACK_PLAYS and any(clue.supports == ATTACK for clue in decisive_clues(track))


def _plays(tracks: Sequence[Row]) -> int:
    return sum(track["plays"] for track in tracks)


def _pooled_clues(tracks: Sequence[Row], others: Sequence[Row]) -> tuple[Clue, ...]:
    """Pool the clues of some tracks as if they were one, weighted by plays."""
    by_rule = defaultdict[str, list[tuple[int, Clue]]](list)
    for track in tracks:
        for clue in weighed(Spike(track, 0.0), others).clues:
            by_rule[clue.what].append((track["plays"], clue))
    return tuple(_pooled(what, clues) for what, clues in by_rule.items())


def _pooled(what: str, clues: Sequence[tuple[int, Clue]]) -> Clue:
    weights = [plays for plays, _ in clues]
    sides = Counter[str]()
    for plays, clue in clues:
        sides[clue.supports] += plays
    return Clue(
        what,
        statistics.fmean((clue.seen for _, clue in clues), weights),
        statistics.fmean((clue.usual for _, clue in clues), weights),
        sides.most_common(1)[0][0],
    )
