"""Drift: how a fingerprint differs from those of its stage's recent accepted partitions, and how sure one can be of that.

`evaluation` chooses what is compared, grades moves and words them; `levels` has the statistics of numbers, `mixes` those of
distributions, over the `quantiles`, `moments` and `values` that both need.
"""

from spam_pipeline.protocol.drift.evaluation import HistoricFingerprint, drift

__all__ = ["HistoricFingerprint", "drift"]
