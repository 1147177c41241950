"""Comparisons of versions: which are meant, what differs between them and why, and how that is told.

`comparison` puts together what `figures` and `rows` find; `versions` says which versions are compared, `text` how it is told in
lines and in JSON. Pages and pictures are drawn outside of the protocol.
"""

from spam_pipeline.protocol.explanation.comparison.comparison import ComparedPartition, Comparison, Side, compare

__all__ = ["ComparedPartition", "Comparison", "Side", "compare"]
