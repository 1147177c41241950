"""Clues for a release or for an attack, when a track has far more plays than usual.

One table states the policy: each rule with its limits, its points and its reason. Its numbers come from `evidence`; spikes
are detected, and findings made, in `findings`.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from spam_pipeline.protocol import Clue, Curve, Evidence
from spam_pipeline.protocol.fingerprint import Fingerprint, Recorded
from spam_pipeline.trust_and_safety.spikes.evidence import NAMED_NETWORKS

RELEASE, ATTACK, UNDECIDED = "release", "attack", ""
"""The explanations of a spike; each clue supports one of them."""

LEAST_SHARE: Final = 0.01
LEAST_PLAYS: Final = 20
"""A smaller share of the day's plays does no damage, and fewer plays say nothing about who made them."""

LEAST_REPEATED: Final = 2.0
"""With fewer plays per listener most come once, and their variation says nothing."""

NETWORK_DIGITS: Final = 8
"""The number of hexadecimal digits of its key that name a network."""

NAMED_TRACKS: Final = 5

Row = Mapping[str, Any]
"""One row of `evidence.evidence_of_tracks`."""


class Compared(Enum):
    """The value that a rule compares with its limits."""

    SEEN = "what was seen"
    RATIO = "seen / usual"
    EXCESS = "the share of the plays beyond the usual ones, less the usual share"


class ClueRule(NamedTuple):
    """A rule about one number of the evidence: beyond one limit it supports an attack, beyond the other a release.

    High numbers support an attack where `attack` is above `release`, low ones where it is below. The usual value is another
    number of the same row, or the median of the day's other most played tracks where `usual` is empty. An attack counts
    `points`, a release always one, because an attack can imitate any single trait of a release. A clue for an attack that
    `is_decisive` is one that honest plays do not produce: it decides alone.
    """

    what: str
    seen: str
    attack: float
    release: float
    points: int
    why: str
    usual: str = ""
    compared: Compared = Compared.SEEN
    is_decisive: bool = False


def _mixture(name: str, attack: float, release: float, points: int, why: str) -> ClueRule:
    what = f"effective {name.replace('_', ' ')}"
    return ClueRule(what, f"effective_{name}", attack, release, points, why, f"usual_effective_{name}", Compared.RATIO)


RULES: Final = (
    ClueRule("plays per listener", "plays_per_listener", 5.0, 3.0, 2, "new listeners come one to three times, bots work"),
    ClueRule(
        "variation of plays per listener", "listener_variation", 0.35, 0.5, 2, "taste has a heavy tail, orders are filled evenly"
    ),
    _mixture("networks", 0.25, 0.6, 2, "a crowd is at home everywhere, a farm has few addresses"),
    _mixture("user_agents", 0.25, 0.6, 2, "a crowd has many devices, a farm has one build"),
    _mixture("sources", 0.3, 0.5, 2, "a release is found in many ways, an attack has one"),
    _mixture("countries", 0.4, 0.6, 1, "odd countries; one point only, because honest tracks can be local"),
    ClueRule(
        "listeners of nothing else", "stranger_share", 0.85, 0.75, 2, "a release spills over to other tracks, a bot has no taste"
    ),
    ClueRule("day rhythm", "rhythm", -3.0, 3.0, 1, "people sleep; machines are flat over 24 hours", "usual_rhythm"),
    ClueRule(
        "share just past 30 s", "short_share", 0.25, 0.05, 3, "nobody likes a track for 30 to 36 s",
        "usual_short_share", Compared.EXCESS, is_decisive=True,
    ),
    ClueRule(
        "share cut off before 60 s", "cut_off_share", 0.5, 0.15, 3, "few stop right after the play is paid",
        "usual_cut_off_share", Compared.EXCESS, is_decisive=True,
    ),
)  # fmt: skip
"""The policy. Limits were chosen on the simulation's seeds 1 to 20 and hold on others, see `benchmarks.release_or_attack`."""

NEEDED_LEAD: Final = 3
"""The lead in points that makes an attack: at least two clues that nothing contradicts."""


class Spike(NamedTuple):
    """A track with far more plays than usual: its evidence, and its usual number of plays."""

    track: Row
    usual_plays: float

    @property
    def rise(self) -> float:
        """The plays beyond the usual number."""
        return float(self.track["plays"] - self.usual_plays)

    @property
    def is_of_few(self) -> bool:
        """True if its few busiest listeners make most of the rise."""
        return bool(self.track["few_listeners_plays"] > self.rise / 2)


class Weighed(NamedTuple):
    """The clues of a spike, and the explanation that they support together."""

    clues: tuple[Clue, ...]
    verdict: str


def weighed(spike: Spike, others: Sequence[Row]) -> Weighed:
    """Weigh the clues of a spike, given the day's other most played tracks.

    People do loop one song all day, on one device at one address. So for a spike that a handful of listeners makes, only the
    decisive rules count: it is an attack or of no interest, never undecided.
    """
    prepared = spike._replace(track=_as_weighed(spike.track))
    weighed = [(rule, clue) for rule in RULES if (clue := _clue(rule, prepared, others)) is not None]
    against = [rule for rule, clue in weighed if clue.supports == ATTACK]
    release = sum(clue.supports == RELEASE for _, clue in weighed)
    lead = sum(rule.points for rule in against) - release
    is_attack = lead >= NEEDED_LEAD or any(rule.is_decisive for rule in against)
    clues = tuple(clue for _, clue in weighed)
    if is_attack or (lead >= 0 and not spike.is_of_few):
        return Weighed(clues, ATTACK if is_attack else UNDECIDED)
    return Weighed(clues, RELEASE)


def decisive_clues(track: Row) -> tuple[Clue, ...]:
    """Apply the decisive rules to all plays of a track, with or without a spike."""
    clues = (_clue(rule, Spike(track, 0.0), ()) for rule in RULES if rule.is_decisive)
    return tuple(clue for clue in clues if clue is not None)


def _clue(rule: ClueRule, spike: Spike, others: Sequence[Row]) -> Clue | None:
    """Apply one rule; None where there is nothing to compare."""
    seen = spike.track[rule.seen]
    usual = spike.track[rule.usual] if rule.usual else _median([other[rule.seen] for other in others])
    if seen is None or usual is None:
        return None
    is_silent = spike.is_of_few and not rule.is_decisive
    return Clue(
        rule.what, seen, usual, UNDECIDED if is_silent else _side(rule, _held(rule.compared, spike, seen, usual))
    )


def _held(compared: Compared, spike: Spike, seen: float, usual: float) -> float:
    """Return the value to compare with the limits.

    The plays of a track with a spike are a mixture of usual plays and the rise, in known numbers, so a share among the
    rise alone, less the usual share, is (seen - usual) * plays / rise.
    """
    if compared is Compared.RATIO:
        return seen / usual
    if compared is Compared.EXCESS:
        return float((seen - usual) * spike.track["plays"] / spike.rise)
    return seen


def _side(rule: ClueRule, value: float) -> str:
    sign = 1 if rule.attack > rule.release else -1
    if sign * value >= sign * rule.attack:
        return ATTACK
    return RELEASE if sign * value <= sign * rule.release else UNDECIDED


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _as_weighed(track: Row) -> dict[str, Any]:
    """Add to the evidence the `rhythm`, and drop the `listener_variation` where most listeners come once."""
    is_repeated = track["plays_per_listener"] >= LEAST_REPEATED
    variation = track["listener_variation"] if is_repeated else None
    return {**track, "listener_variation": variation, **_rhythm(track)}


def _rhythm(track: Row) -> dict[str, float]:
    """Compare the platform's daily curve with a constant rate as models of the track's hours, in nats; and the usual value.

    That is the log-likelihood ratio sum(n_h ln(24 p_h)), where p is the share of other plays by hour; usual is its value
    for plays that follow p. Zero where plays crowd into fewer hours than other plays do: that supports neither.
    """
    counts, usual = track["hour_counts"], track["usual_hour_counts"] or [0] * len(track["hour_counts"])
    hours = len(counts)
    shares = [(count + 1) / (sum(usual) + hours) for count in usual]
    gains = [math.log(hours * share) for share in shares]
    rhythm = sum(count * gain for count, gain in zip(counts, gains, strict=True))
    expected = sum(counts) * sum(share * gain for share, gain in zip(shares, gains, strict=True))
    is_crowded = track["effective_hours"] < (track["usual_effective_hours"] or 0)
    return {"rhythm": 0.0 if rhythm < 0 and is_crowded else rhythm, "usual_rhythm": expected}


def is_material(rise: float, day_plays: int) -> bool:
    """Return true if a rise is large enough for a finding."""
    return rise >= max(LEAST_PLAYS, LEAST_SHARE * day_plays)


def rows_of(fingerprint: Fingerprint) -> Sequence[Row]:
    """Return the evidence that a fingerprint records; none where an earlier contract measured it."""
    suspects = fingerprint.get("suspects")
    return suspects.rows if isinstance(suspects, Recorded) else ()


def evidence(name: str, tracks: Sequence[Row], clues: tuple[Clue, ...]) -> Evidence:
    """Build the evidence for people: clues, the daily curve of these tracks beside that of other plays, and their networks."""
    curves = (
        _curve(name, [track["hour_counts"] for track in tracks]),
        _curve("other plays", [tracks[0]["usual_hour_counts"]]),
    )
    networks = Counter[int]()
    for track in tracks:
        networks.update(
            {top["network_key"]: round(top["share"] * track["plays"]) for top in track["top_networks"] or ()}
        )
    behind = (
        *(f"track {track['track_id']}" for track in tracks[:NAMED_TRACKS]),
        *(
            f"network {f'{key:016x}'[:NETWORK_DIGITS]} (about {plays:,} plays)"
            for key, plays in networks.most_common(NAMED_NETWORKS)
        ),
    )
    return Evidence(clues, curves, behind)


def _curve(name: str, counts_by_hour: Sequence[Sequence[int] | None]) -> Curve:
    """Compute the share of plays in each hour."""
    counts = [sum(hour) for hour in zip(*(counts for counts in counts_by_hour if counts), strict=True)]
    return Curve(name, tuple(count / sum(counts) for count in counts))
