"""Losses: findings where a version has less of what must not get lost than the version that it would replace.

Drift compares with other partitions; here a partition is compared with itself, as readers have it now. What a measure
tolerates is declared with it.
"""

from collections.abc import Iterator, Mapping, Sequence

from spam_pipeline.protocol.drift.evaluation import HistoricFingerprint
from spam_pipeline.protocol.fingerprint import Counted, Fingerprint, Measure, Measured, Summed
from spam_pipeline.protocol.foundation.finding import Finding, Severity

RULE = "loss"


def losses(
    measures: Mapping[str, Measure], partition: str, seen: Fingerprint, history: Sequence[HistoricFingerprint]
) -> Iterator[Finding]:
    """Findings about numbers that fell by more than tolerated, given a history that has the partition itself if it is published.

    A finding's size is the share that was lost.
    """
    replaced: Fingerprint = next((past.fingerprint for past in history if past.partition == partition), {})
    for name, measure in measures.items():
        if measure.tolerated_loss is None or name not in seen or name not in replaced:
            continue
        now = _amounts(name, seen[name])
        for label, before in _amounts(name, replaced[name]).items():
            lost = (before - now.get(label, 0)) / before if before > 0 else 0.0
            if lost > measure.tolerated_loss:
                yield Finding(
                    rule=RULE,
                    about=label,
                    severity=Severity.REFUSE,
                    expected=f"at most {measure.tolerated_loss:.0%} less than the {before:,} that are published",
                    seen=f"{now.get(label, 0):,}, {lost:.1%} less",
                    size=lost,
                )


def _amounts(name: str, measured: Measured) -> dict[str, int]:
    """The exact amounts of a count, or of sums by value; of another measurement none."""
    if isinstance(measured, Counted):
        return {name: measured.count}
    if isinstance(measured, Summed):
        return {f"{name}_{value}": amount for value, amount in measured.by.items()}
    return {}
