"""Champion and challenger: the comparison of a newly trained model with the published one.

Both are compared on data that was held out from each: campaigns, and the last days. Only what both were measured on counts, so
that a new and difficult incident counts against neither. Everything here reads fingerprints and no data.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import scipy  # type: ignore[import-untyped]  # it ships no types, and loads scipy.special when that is used

from spam_pipeline.protocol import Finding, HistoricFingerprint, Severity
from spam_pipeline.protocol.fingerprint import Fingerprint, Recorded, numbers
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE, ROYALTY_TOLERANCE

LEAST_WORSE: Final = 0.02
"""The smallest increase of the mean squared error on held-out campaigns that matters in practice."""

LEAST_WORSE_OF_LEGITIMATE: Final = 0.002
"""The same for legitimate plays, of which there are so many more."""

SURENESS: Final = 0.975
"""The confidence, by a t test of the paired differences, at which the challenger counts as worse."""

LEAST_WORSE_OF_ONE: Final = 0.1
"""The smallest increase that counts where both models have a single campaign in common, whose variance is unknown."""

MOST_WORSE_OF_ANY: Final = 0.4
"""A single campaign whose error grows by more than this is an attack that the challenger misses, whatever the mean."""

CHAMPION: Final = "champion"
"""The name of the rule that refuses a challenger."""

_Campaign = Mapping[str, Any]


def findings_against_champion(fingerprint: Fingerprint, history: Sequence[HistoricFingerprint]) -> Iterator[Finding]:
    """Compare a challenger's fingerprint with that of the published model, if there is one: errors, and flipped verdicts."""
    for past in history:
        yield from _on_campaigns(fingerprint, past.fingerprint)
        yield from _on_each_campaign(fingerprint, past.fingerprint)
        yield from _on_time(fingerprint, past.fingerprint)
        yield from _flips(fingerprint, past.fingerprint)


def _on_campaigns(challenger: Fingerprint, champion: Fingerprint) -> Iterator[Finding]:
    new, old = _campaigns(challenger), _campaigns(champion)
    common = sorted(new.keys() & old.keys())
    for label, is_spam, least in (
        ("campaigns of spam", True, LEAST_WORSE),
        ("legitimate plays", False, LEAST_WORSE_OF_LEGITIMATE),
    ):
        pairs = [(new[key]["brier"], old[key]["brier"]) for key in common if key[1] is is_spam]
        if pairs and _is_worse([seen - known for seen, known in pairs], least):
            yield _refused(
                label,
                statistics.fmean(seen for seen, _ in pairs),
                statistics.fmean(known for _, known in pairs),
                len(pairs),
            )


def _on_each_campaign(challenger: Fingerprint, champion: Fingerprint) -> Iterator[Finding]:
    new, old = _campaigns(challenger), _campaigns(champion)
    for key in sorted(new.keys() & old.keys()):
        seen, known = new[key]["brier"], old[key]["brier"]
        if seen - known > MOST_WORSE_OF_ANY:
            yield _refused(f"campaign {key[0]}", seen, known, new[key]["examples"])


def _is_worse(differences: Sequence[float], least: float) -> bool:
    worse = statistics.fmean(differences)
    if len(differences) == 1:
        return worse > min(LEAST_WORSE_OF_ONE, 5 * least)
    by_chance = float(scipy.special.stdtrit(len(differences) - 1, SURENESS)) * statistics.stdev(differences)
    return worse > max(least, by_chance / math.sqrt(len(differences)))


def _on_time(challenger: Fingerprint, champion: Fingerprint) -> Iterator[Finding]:
    """Compare the errors on the last days, if both models held out the same ones."""
    examples, error = "held_out_time_examples", "held_out_time_brier"
    new, old = numbers(challenger), numbers(champion)
    is_comparable = error in new and error in old and new[examples] == old[examples]
    if is_comparable and new[error] - old[error] > LEAST_WORSE:
        yield _refused("the last days", new[error], old[error], round(new[examples]))


def _refused(about: str, seen: float, known: float, count: int) -> Finding:
    return Finding(
        rule=CHAMPION,
        about=about,
        severity=Severity.REFUSE,
        expected=f"a mean squared error while held out of about {known:.4f}, as the published model has",
        seen=f"{seen:.4f} over the same {count:,}",
        size=seen - known,
    )


def _flips(challenger: Fingerprint, champion: Fingerprint) -> Iterator[Finding]:
    """Count the common probes whose class would change."""
    new, old = _probes(challenger), _probes(champion)
    common = new.keys() & old.keys()
    flipped = sum(_class(new[key]) != _class(old[key]) for key in common)
    if common:
        share = flipped / len(common)
        seen = f"another one for {flipped:,} of {len(common):,} ({share:.1%})"
        yield Finding(
            "flips", "verdicts on the same plays", Severity.NOTE, "the published model's class", seen, size=share
        )


def _class(percent: int) -> int:
    return sum(percent >= 100 * tolerance for tolerance in (ROYALTY_TOLERANCE, REPORTING_TOLERANCE))


def _campaigns(fingerprint: Fingerprint) -> dict[tuple[str, bool], _Campaign]:
    return {(str(row["incident_id"]), bool(row["is_spam"])): row for row in _rows(fingerprint, "campaigns")}


def _probes(fingerprint: Fingerprint) -> dict[int, int]:
    return {row["probe"]: row["percent"] for row in _rows(fingerprint, "probes")}


def _rows(fingerprint: Fingerprint, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows that a fingerprint records under a name; none where an earlier contract measured it."""
    recorded = fingerprint.get(name)
    return recorded.rows if isinstance(recorded, Recorded) else ()
