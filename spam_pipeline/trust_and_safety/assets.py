"""The stages of trust & safety: thin, because the rules live in the modules beside this one."""

import polars as pl

from spam_pipeline.partitions import event_days, unpartitioned
from spam_pipeline.protocol.contract import Reads
from spam_pipeline.protocol.selection import EveryPartition, PartNamedAlike, TrailingDays
from spam_pipeline.protocol.stage import stage
from spam_pipeline.trust_and_safety.classification import classify
from spam_pipeline.trust_and_safety.contracts import ClassifiedPlays, LabelledExamples, PlaySignals
from spam_pipeline.trust_and_safety.labelled_examples import examples_of_day
from spam_pipeline.trust_and_safety.model import SpamModel
from spam_pipeline.trust_and_safety.model_file import SPAM_MODEL
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.training import train

OWNER = "team:trust-and-safety"

_ENTITIES = ("user_key", "device_key", "network_key", "track_key")
_DECLARED = ("ip_key", "user_agent_key")
"""What plays name beside the entities that carry signals, and incidents may name too."""

_PLAYS_FOR_SIGNALS = Reads((*_ENTITIES, "user_agent_key", "country", "client", "source", "occurred_at", "ms_played"))
_PLAYS_FOR_EXAMPLES = Reads((*_ENTITIES, *_DECLARED, "occurred_at"))
_PLAYS_FOR_VERDICTS = Reads(
    (*_PLAYS_FOR_EXAMPLES.columns, "event_id", "arrival_hour", "track_id", "country", "client", "source", "ms_played")
)
_INCIDENTS = Reads(("incident_id", "entity_type", "entity_key", "starts_at", "ends_at", "status"))


@stage(
    partitions=event_days,
    contract=PlaySignals,
    owner=OWNER,
    selections={"plays": TrailingDays(7)},
    reads={"plays": _PLAYS_FOR_SIGNALS},
    libraries=["polars"],
)
def play_signals(plays: pl.LazyFrame, partition: str) -> pl.LazyFrame:
    """How actors, devices, networks and tracks behaved on the day, for the spam model and for people who investigate.

    One row per entity with a play on the day. Spikes and new countries compare with the six days before; nothing after
    the day is read. Mixtures are effective numbers: 2^entropy with the Miller-Madow correction.
    """
    return signals_of_day(plays, partition)


@stage(
    partitions=event_days,
    contract=LabelledExamples,
    owner=OWNER,
    selections={"incidents": PartNamedAlike()},
    reads={"plays": _PLAYS_FOR_EXAMPLES, "incidents": _INCIDENTS},
    libraries=["polars"],
)
def labelled_examples(play_signals: pl.LazyFrame, plays: pl.LazyFrame, incidents: pl.LazyFrame) -> pl.LazyFrame:
    """What experts' decided incidents say about the day's plays, as examples for the spam model.

    Confirmed is spam, cleared is legitimate, suspected is no label. A sample of undeclared plays joins them as weak
    examples, because unlabelled means unknown, not legitimate. Empty on days that no decided incident touches.
    """
    return examples_of_day(plays, play_signals, incidents)


@stage(
    partitions=unpartitioned,
    contract=SPAM_MODEL,
    owner=OWNER,
    selections={"labelled_examples": EveryPartition()},
    libraries=["numpy", "polars", "scikit-learn", "skops"],
)
def spam_model(labelled_examples: pl.LazyFrame) -> SpamModel:
    """What all labelled examples teach about spam: a logistic regression, calibrated at a prior of 3 % spam.

    As long as too little is labelled it is a stated heuristic, which says so. Its fingerprint is its quality on days and
    campaigns that it did not learn from.
    """
    return train(labelled_examples)


@stage(
    partitions=event_days,
    contract=ClassifiedPlays,
    owner=OWNER,
    selections={"incidents": PartNamedAlike()},
    reads={"plays": _PLAYS_FOR_VERDICTS, "incidents": _INCIDENTS},
    libraries=["numpy", "polars", "scikit-learn"],
)
def classified_plays(
    plays: pl.LazyFrame, play_signals: pl.LazyFrame, spam_model: SpamModel, incidents: pl.LazyFrame
) -> pl.LazyFrame:
    """Every play with its class, spam probability and reasons: the one spam record that all consumers read.

    Declared incidents overrule the model: confirmed is spam, cleared is legitimate. Otherwise a play is spam from a
    probability of 0.8 on, legitimate below 0.2, and unknown between; consumers choose their own tolerance.
    """
    return classify(plays, play_signals, spam_model, incidents)


STAGES = (play_signals, labelled_examples, spam_model, classified_plays)
"""Every stage of this context, in the order of its data."""
