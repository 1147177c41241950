"""Findings about spikes: a track has far more plays than ever before, because it was released, or because it is attacked.

The definition of a spike, the severity, and the wording of a finding are here. Evidence is measured in `evidence`, and weighed
in `clues`. All of it is pure. An attack that spreads over a whole catalogue makes no spike of any track: the classifier and
the drift of the fingerprint cover those.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from spam_pipeline.protocol import Finding, HistoricFingerprint, Severity
from spam_pipeline.protocol.fingerprint import Counted, Fingerprint, Recorded
from spam_pipeline.trust_and_safety.spikes.clues import (
    ATTACK,
    RELEASE,
    UNDECIDED,
    Row,
    Spike,
    Weighed,
    evidence,
    is_material,
    rows_of,
    weighed,
)
from spam_pipeline.trust_and_safety.spikes.evidence import MOST_TRACKS
from spam_pipeline.trust_and_safety.spikes.groups import group_findings

LEAST_PAST_DAYS: Final = 3
"""With fewer days in the history the usual number is unknown, and no spike is reported."""

LEAST_RISE: Final = 1.25
"""A smaller multiple of the usual plays is a good day: too few plays are new to tell what they are like."""

DEVIATIONS: Final = 3.5
"""A spike is so many standard deviations above the track's history, on a log scale: about one in 4000 tracks by chance."""

_SEVERITIES: Final = {ATTACK: Severity.WARN, RELEASE: Severity.NOTE, UNDECIDED: Severity.NOTE}
"""None refuses: the day would wait as a whole, where suspicions hold the plays of an attack alone."""


class _DayOfTracks(NamedTuple):
    """A day of the history: its plays, those of its most played tracks, and the most that any other track can have had."""

    plays: int
    by_track: dict[int, int]
    unlisted: int

    def plays_of(self, track: int) -> int:
        """Return the track's plays, or their upper bound; at least one, because the logarithm is taken."""
        return max(self.by_track.get(track, self.unlisted), 1)


class _Usual(NamedTuple):
    """The usual plays of a track on a day of the same size, and the upper bound of chance."""

    plays: float
    most: float
    days: int


def spike_findings(fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> list[Finding]:
    """Report each track with a spike among the most played ones, the most played first.

    A finding warns of an apparent attack, and notes whatever else it is: a release, a handful of listeners, or undecided.
    A last one is for tracks that are attacked together. Reads `suspects`, the rows of `evidence_of_tracks`, of the day and of
    its history, and the history's `plays`.
    """
    days = [day for past in history if (day := _day_of_tracks(past.fingerprint)) is not None]
    suspects = rows_of(fingerprint)
    if len(days) < LEAST_PAST_DAYS or not suspects:
        return []
    spikes = _spikes(suspects, days)
    found = [
        _finding(spike, usual, weighed(spike, [other for other in suspects if other is not spike.track]))
        for spike, usual in spikes
    ]
    known = {spike.track["track_key"] for spike, _ in spikes}
    rest = [suspect for suspect in suspects if suspect["track_key"] not in known]
    past = [rows for past in history if (rows := rows_of(past.fingerprint))]
    return [*found, *(group_findings(rest, past) if len(past) >= LEAST_PAST_DAYS else [])]


def _spikes(suspects: Sequence[Row], days: Sequence[_DayOfTracks]) -> list[tuple[Spike, _Usual]]:
    overdispersion = _overdispersion(days)
    weighed = [(suspect, _usual(suspect, days, overdispersion)) for suspect in suspects]
    return [(Spike(suspect, usual.plays), usual) for suspect, usual in weighed if _is_spike(suspect, usual)]


def _day_of_tracks(fingerprint: Fingerprint) -> _DayOfTracks | None:
    """Read a day of the history; None where an earlier contract measured it, or without plays."""
    plays, suspects = fingerprint.get("plays"), fingerprint.get("suspects")
    if not (isinstance(plays, Counted) and isinstance(suspects, Recorded) and plays.count):
        return None
    by_track = {row["track_key"]: row["plays"] for row in suspects.rows}
    most = sorted(by_track.values(), reverse=True)[:MOST_TRACKS]
    return _DayOfTracks(plays.count, by_track, most[-1] if len(most) == MOST_TRACKS else 0)


def _overdispersion(days: Sequence[_DayOfTracks]) -> float:
    """Estimate the variance of the logarithm of a track's share from day to day, beyond that of a Poisson count (1 / count).

    It is the median over the tracks that every day of the history lists, so that one release does not hide the next.
    """
    tracks = set[int].intersection(*(set(day.by_track) for day in days))
    beyond = [
        statistics.variance(math.log(day.plays_of(track) / day.plays) for day in days)
        - statistics.fmean(1 / day.plays_of(track) for day in days)
        for track in tracks
    ]
    return max(0.0, statistics.median(beyond)) if beyond else 0.0


def _usual(suspect: Row, days: Sequence[_DayOfTracks], overdispersion: float) -> _Usual:
    """Estimate by the median of past shares: one day with a spike, accepted or not, does not make spikes usual."""
    share = statistics.median(day.plays_of(suspect["track_key"]) / day.plays for day in days)
    plays = share * suspect["day_plays"]
    deviation = math.sqrt((1 / plays + overdispersion) * (1 + 1 / len(days)))
    return _Usual(plays, plays * max(LEAST_RISE, math.exp(DEVIATIONS * deviation)), len(days))


def _is_spike(suspect: Row, usual: _Usual) -> bool:
    return bool(suspect["plays"] > usual.most) and is_material(suspect["plays"] - usual.plays, suspect["day_plays"])


def _finding(spike: Spike, usual: _Usual, weighed: Weighed) -> Finding:
    track = spike.track
    share = track["plays"] / track["day_plays"]
    return Finding(
        rule="spike",
        about=f"track {track['track_id']}",
        severity=_SEVERITIES[weighed.verdict],
        expected=f"at most about {usual.most:,.0f} plays judging by {usual.days} days",
        seen=f"{track['plays']:,} plays, {share:.1%} of the day, {_in_words(spike, weighed)}",
        size=share,
        evidence=evidence(f"track {track['track_id']}", [track], weighed.clues),
    )


def _in_words(spike: Spike, weighed: Weighed) -> str:
    sides = [clue.supports for clue in weighed.clues]
    attack, release = sides.count(ATTACK), sides.count(RELEASE)
    if weighed.verdict == ATTACK:
        return f"which looks like an attack: {_clues(attack)} against {release}"
    if spike.is_of_few:
        return (
            f"of which {spike.track['few_listeners_plays']:,} by a handful of listeners who do not stop at what is paid"
        )
    if weighed.verdict == RELEASE:
        return f"which looks like a release: {_clues(release)} against {attack}"
    return f"which may be either: {_clues(attack)} for an attack, {release} for a release"


def _clues(count: int) -> str:
    return f"{count} clue" if count == 1 else f"{count} clues"
