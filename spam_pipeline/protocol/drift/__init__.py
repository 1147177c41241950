"""Drift: whether a fingerprint is like those of its stage's recent accepted partitions, and how sure one can be of that.

`evaluation` says what is compared, how severe a move is and how it is worded; `levels` has the statistics of numbers, `mixes` those of
distributions, over the `quantiles`, `moments` and `values` that both need.
"""

from spam_pipeline.protocol.drift.evaluation import HistoricFingerprint, drift

__all__ = ["HistoricFingerprint", "drift"]
