"""Fingerprints: the domain statistics that every version carries.

A contract declares measures (`measures`, `grouped_measures`); measuring a frame gives measurements (`measured`, `distributions`,
`key_sample`), which merge over versions without reading their rows again. Nothing here knows a domain or evaluates anything.
"""

from spam_pipeline.protocol.fingerprint.distributions import NULL, REST, Distribution, Histogram, Spreading
from spam_pipeline.protocol.fingerprint.estimate import Estimate, Scale
from spam_pipeline.protocol.fingerprint.grouped_measures import Keys, Quantiles, Spread, Totals
from spam_pipeline.protocol.fingerprint.key_sample import KeySample, Top
from spam_pipeline.protocol.fingerprint.measured import (
    MARKDOWN,
    Averaged,
    Counted,
    Figured,
    Measured,
    Proportion,
    Recorded,
    Summed,
)
from spam_pipeline.protocol.fingerprint.measures import (
    Count,
    Drift,
    Figure,
    Mean,
    Measure,
    Records,
    Share,
    Total,
)
from spam_pipeline.protocol.fingerprint.measuring import Frame, engine_for, measure
from spam_pipeline.protocol.fingerprint.values import (
    Fingerprint,
    fingerprint_from_json,
    fingerprint_to_json,
    merged,
    numbers,
)

__all__ = [
    "MARKDOWN",
    "NULL",
    "REST",
    "Averaged",
    "Count",
    "Counted",
    "Distribution",
    "Drift",
    "Estimate",
    "Figure",
    "Figured",
    "Fingerprint",
    "Frame",
    "Histogram",
    "KeySample",
    "Keys",
    "Mean",
    "Measure",
    "Measured",
    "Proportion",
    "Quantiles",
    "Recorded",
    "Records",
    "Scale",
    "Share",
    "Spread",
    "Spreading",
    "Summed",
    "Top",
    "Total",
    "Totals",
    "engine_for",
    "fingerprint_from_json",
    "fingerprint_to_json",
    "measure",
    "merged",
    "numbers",
]
