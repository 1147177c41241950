"""Drift: how a fingerprint differs from those of its stage's recent accepted partitions, and how sure one can be of that.

`losses` compares a partition with itself as it is published. `evaluation` chooses what is compared, grades moves and words them; `levels` has the statistics of numbers, `mixes` those of
distributions, over the `quantiles`, `moments` and `values` that both need.
"""

from spam_pipeline.protocol.drift.evaluation import HistoricFingerprint, drift
from spam_pipeline.protocol.drift.losses import losses

__all__ = ["HistoricFingerprint", "drift", "losses"]
