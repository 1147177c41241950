"""Comparisons of versions: finding the ones that are meant, their differences and causes, and formatting those.

`versions` finds what to compare, `comparison` puts together the differences in `figures` and `rows`, and `text` formats them as
lines and JSON. Pages and pictures are drawn outside of the protocol.
"""

from spam_pipeline.protocol.explanation.comparison.comparison import ComparedPartition, Comparison, Side, compare

__all__ = ["ComparedPartition", "Comparison", "Side", "compare"]
