"""Labelled examples for these tests, made up without plays: campaigns that each show in a few signals, and ordinary combinations.

How examples come out of plays is tested in `test_labelled_examples`; here nothing but signals and labels matters.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import LabelledExamples
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.signals.catalogue import NAMES, SIGNALS, Matrix
from spam_pipeline.trust_and_safety.training import held_out, train

FIRST_DAY = date(2026, 1, 5)
SCHEMA = pl.Schema(column_types(LabelledExamples))


def campaign(  # noqa: PLR0913 - what examples of a campaign differ in
    incident_id: str | None,
    shows: Mapping[str, float],
    *,
    on_day: int = 0,
    size: int = 40,
    is_spam: bool = True,
    is_weak: bool = False,
    attack_type: str | None = "some attack",
) -> pl.DataFrame:
    """Examples of one incident and day: ordinary but for the signals that it `shows`, as numbers of spreads away from usual."""
    random = np.random.default_rng([on_day, size, *(incident_id or "nobody").encode()])
    standardised = random.normal(0, 0.5, (size, len(NAMES)))
    for name, distance in shows.items():
        standardised[:, NAMES.index(name)] += distance
    keys = random.integers(1, 2**63, (5, size), dtype=np.uint64)
    entities = ("actor_key", "device_key", "ip_key", "network_key", "track_key")
    return pl.DataFrame(
        {
            **dict(zip(entities, keys, strict=True)),
            **dict(zip(NAMES, _as_they_are(standardised).T.tolist(), strict=True)),
            "plays": random.integers(1, 50, size),
        }
    ).select(
        pl.lit(value).alias(name).cast(SCHEMA[name]) if name not in (*entities, *NAMES, "plays") else name
        for name, value in {
            **dict.fromkeys(SCHEMA.names()),
            "event_day": FIRST_DAY + timedelta(days=on_day),
            "incident_id": incident_id,
            "attack_type": attack_type if incident_id else None,
            "is_spam": is_spam,
            "is_weak": is_weak,
            "earning_plays": 1,
            "tier": "free",
        }.items()
    )


def ordinary(on_day: int, size: int = 200) -> pl.DataFrame:
    """What nobody declared on a day and the policy takes for legitimate."""
    return campaign(None, {}, on_day=on_day, size=size, is_spam=False, is_weak=True)


def trained_on(examples: pl.LazyFrame) -> SpamModel:
    """The model of these examples, with its quality, as two stages give it."""
    return train(examples, held_out(examples))


def undeclared(shows: Mapping[str, float], *, on_day: int = 0, size: int = 40, is_spam: bool = False) -> pl.DataFrame:
    """What shows signs, nobody declared, and the policy takes for legitimate, or for spam."""
    return campaign(None, shows, on_day=on_day, size=size, is_spam=is_spam, is_weak=True)


def _as_they_are(standardised: Matrix) -> Matrix:
    """Values of the signals that are so many spreads away from usual."""
    usual = np.array([signal.usual for signal in SIGNALS])
    distance = standardised * np.array([signal.spread for signal in SIGNALS])
    is_log = np.array([signal.is_log for signal in SIGNALS])
    return np.where(is_log, np.expm1(np.log1p(usual) + np.where(is_log, distance, 0)), usual + distance)
