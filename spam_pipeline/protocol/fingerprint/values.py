"""Fingerprints as values: their numbers, merging them, and converting them to JSON."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from spam_pipeline.protocol.fingerprint.distributions import Histogram, Spreading
from spam_pipeline.protocol.fingerprint.key_sample import KeySample
from spam_pipeline.protocol.fingerprint.measured import (
    Averaged,
    Counted,
    Figured,
    Measured,
    Proportion,
    Recorded,
    Summed,
)
from spam_pipeline.protocol.foundation.errors import WrongLedger

Fingerprint = Mapping[str, Measured]
"""The measurements of a version, by the names that its contract gives."""

SCHEME = 1
"""Number of the JSON scheme of fingerprints, raised when the fields of a kind change."""

_KINDS: Mapping[str, type[Measured]] = {
    "averaged": Averaged,
    "counted": Counted,
    "figured": Figured,
    "histogram": Histogram,
    "keys": KeySample,
    "proportion": Proportion,
    "recorded": Recorded,
    "spreading": Spreading,
    "summed": Summed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def numbers(fingerprint: Fingerprint) -> dict[str, float]:
    """The numbers of a fingerprint by name; a statistic of no rows is absent rather than zero."""
    return {label: number for name, measured in fingerprint.items() for label, number in measured.numbers(name).items()}


def merged(fingerprints: Iterable[Fingerprint]) -> Fingerprint:
    """The fingerprint over the rows of all: the measures that all have and that can be merged. Nothing for none."""
    found = list(fingerprints)
    return reduce(_merged_pair, found) if found else {}


def _merged_pair(left: Fingerprint, right: Fingerprint) -> Fingerprint:
    pairs = [(name, left[name], right[name]) for name in left if name in right]
    both = [(name, one.merge(other)) for name, one, other in pairs if type(one) is type(other)]
    return {name: measured for name, measured in both if measured is not None}


def fingerprint_to_json(fingerprint: Fingerprint) -> dict[str, Any]:
    """Convert a fingerprint to JSON values, with the number of the scheme."""
    measures = {name: {"kind": _NAMES[type(item)], **item.to_json()} for name, item in fingerprint.items()}
    return {"scheme": SCHEME, "measures": measures}


def fingerprint_from_json(kept: Mapping[str, Any]) -> Fingerprint:
    """Rebuild the fingerprint that `fingerprint_to_json` converted. Raises `WrongLedger` for one in another scheme."""
    if kept["scheme"] != SCHEME:
        raise WrongLedger(f"a fingerprint lies in scheme {kept['scheme']}; this release reads scheme {SCHEME}")
    return {name: _measured(**item) for name, item in kept["measures"].items()}


def _measured(kind: str, **kept: Any) -> Measured:
    return _KINDS[kind].from_json(kept)
