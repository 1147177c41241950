"""The stages of trust & safety. Thin: the rules are in the modules beside this one."""

from datetime import timedelta
from typing import Annotated

import polars as pl

from spam_pipeline.partitions import event_days, unpartitioned
from spam_pipeline.protocol import (
    WHOLE,
    EveryPartition,
    PartForPartition,
    PartsOfTrailingDays,
    PartsUpToMonth,
    Reads,
    TrailingDays,
    stage,
)
from spam_pipeline.trust_and_safety.classification import Groups, classify
from spam_pipeline.trust_and_safety.contracts import (
    ClassifiedPlays,
    EarningPools,
    EntityFacts,
    LabelledExamples,
    PlaySignals,
)
from spam_pipeline.trust_and_safety.estimators import SpamModel
from spam_pipeline.trust_and_safety.evaluation import evaluation_of
from spam_pipeline.trust_and_safety.evaluation_contract import HeldOutExamples, ModelEvaluation
from spam_pipeline.trust_and_safety.facts import facts_of_day
from spam_pipeline.trust_and_safety.incidents import INCIDENT_COLUMNS
from spam_pipeline.trust_and_safety.labelled_examples import examples_of_day, pools_of_day
from spam_pipeline.trust_and_safety.model_file import SPAM_MODEL
from spam_pipeline.trust_and_safety.signals import signals_of_day
from spam_pipeline.trust_and_safety.suspicions.carried import carried_of
from spam_pipeline.trust_and_safety.suspicions.listening import listening_of_day
from spam_pipeline.trust_and_safety.suspicions.ranking import (
    REMEMBERED_DAYS,
    suspected_incidents_of,
    suspected_plays_of,
)
from spam_pipeline.trust_and_safety.suspicions.slices import suspicious_groups as suspicious_groups_of
from spam_pipeline.trust_and_safety.suspicions_contract import (
    CarriedDevices,
    Listening,
    SuspectedIncidents,
    SuspectedPlays,
    SuspiciousGroups,
)
from spam_pipeline.trust_and_safety.training import held_out, train

OWNER = "team:trust-and-safety"

WINDOW_DAYS = 7
"""Signals cover the day and the six days before it: a week, so that every weekday is in it once."""

SUSPICION_DAYS = 28
"""Groups are suspected by the listening of four weeks: campaigns of one or two weeks stand out in it, and every weekday is in it alike."""

_ENTITIES = ("user_key", "device_key", "ip_key", "network_key", "track_key")
"""Columns of plays that name entities with signals."""

_POOLS = "pools"
"""The side part of `labelled_examples` that only the evaluation reads."""

_PLAY_COLUMNS = (*_ENTITIES, "user_agent_key", "country", "occurred_at", "ms_played")

_Incidents = Annotated[pl.LazyFrame, Reads(PartForPartition(), columns=INCIDENT_COLUMNS)]
_DecidedOfWeeks = Annotated[
    pl.LazyFrame,
    Reads(PartsOfTrailingDays(REMEMBERED_DAYS), columns=("incident_id", "status", "starts_at", "ends_at")),
]
_GroupsOfWeeks = Annotated[pl.LazyFrame, Reads(TrailingDays(REMEMBERED_DAYS))]
_Revenue = Annotated[
    pl.LazyFrame, Reads(EveryPartition(), columns=("month", "country", "tier", "currency", "net_revenue_minor"))
]
_AllExamples = Annotated[pl.LazyFrame, Reads(EveryPartition())]


@stage(
    partitions=event_days,
    contract=EntityFacts,
    owner=OWNER,
    libraries=["crawler-user-agents", "polars", "polars-hash", "ua-parser", "ua-parser-builtins"],
)
def entity_facts(
    plays: Annotated[pl.LazyFrame, Reads(columns=("user_key", "track_key", "user_agent_key", "user_agent"))],
    tracks: Annotated[
        pl.LazyFrame, Reads(PartsUpToMonth(), columns=("track_key", "artist_id", "duration_ms", "uploaded_on"))
    ],
    accounts: Annotated[pl.LazyFrame, Reads(PartsUpToMonth(), columns=("user_key", "country", "tier", "created_on"))],
) -> pl.LazyFrame:
    """Reference facts of the day's accounts, tracks and user agents: age, country, tier, artist, duration, platform, automation.

    Only entities with a play on the day are in it, so accounts and tracks that are new in the reference files make no other
    day stale.
    """
    return facts_of_day(plays, tracks, accounts)


@stage(
    partitions=event_days,
    contract=PlaySignals,
    owner=OWNER,
    libraries=["numpy", "polars"],
)
def play_signals(
    plays: Annotated[
        pl.LazyFrame, Reads(TrailingDays(WINDOW_DAYS), columns=(*_PLAY_COLUMNS, "client", "source", "is_hosting"))
    ],
    entity_facts: Annotated[
        pl.LazyFrame,
        Reads(
            TrailingDays(WINDOW_DAYS),
            columns=(
                *("entity_kind", "entity_key", "since", "country"),
                *("artist_key", "duration_ms", "is_automated", "platform"),
            ),
        ),
    ],
    partition: str,
) -> pl.LazyFrame:
    """Behavioural signals of the day's actors, devices, addresses, networks, tracks and uploaders, for the spam model and investigators.

    One row per entity with a play on the day. Habits, spikes and new countries include the six days before; no later day is
    read. `docs/signals.md` has the formula of each signal, why it matters and what evades it.
    """
    return signals_of_day(plays, entity_facts, partition)


@stage(
    partitions=event_days,
    contract=LabelledExamples,
    owner=OWNER,
    side_parts={_POOLS: EarningPools},
    libraries=["numpy", "polars"],
)
def labelled_examples(
    plays: Annotated[pl.LazyFrame, Reads(columns=_PLAY_COLUMNS)],
    play_signals: pl.LazyFrame,
    entity_facts: Annotated[pl.LazyFrame, Reads(columns=("entity_kind", "entity_key", "country", "tier"))],
    incidents: _Incidents,
    suspected_plays: Annotated[pl.LazyFrame, Reads(columns=("device_key",))],
) -> dict[str, pl.LazyFrame]:
    """Training examples for the spam model from the day's plays, labelled by the incidents that experts decided.

    Confirmed is spam, cleared is legitimate, suspected is no label. A sample of undeclared plays is added with labels of the
    weak-label policy, because unlabelled means unknown, not legitimate; none whose plays wait for a person. Empty on days that no decided incident touches.
    """
    examples = examples_of_day(plays, play_signals, entity_facts, incidents, suspected_plays)
    return {WHOLE: examples, _POOLS: pools_of_day(plays, entity_facts, examples)}


@stage(
    partitions=unpartitioned,
    contract=HeldOutExamples,
    owner=OWNER,
    libraries=["numpy", "polars", "polars-hash", "scikit-learn", "scipy", "threadpoolctl"],
)
def held_out_examples(labelled_examples: _AllExamples) -> pl.LazyFrame:
    """Labelled examples with the spam probability of a model that has not seen their campaign, or their day.

    What the model's quality and its evaluation are computed from, and what to look through for the plays that it errs on.
    """
    return held_out(labelled_examples)


@stage(
    partitions=unpartitioned,
    contract=SPAM_MODEL,
    owner=OWNER,
    libraries=["numpy", "polars", "polars-hash", "scikit-learn", "scipy", "skops", "threadpoolctl"],
)
def spam_model(labelled_examples: _AllExamples, held_out_examples: pl.LazyFrame) -> SpamModel:
    """Spam model trained on all labelled examples: a logistic regression, calibrated at a prior of 3 % spam.

    While too little is labelled it is the weak-label policy, and says so. Its fingerprint holds its quality on held-out days and
    campaigns; a model that is worse there than the published one is quarantined.
    """
    return train(labelled_examples, held_out_examples)


@stage(
    partitions=unpartitioned,
    contract=ModelEvaluation,
    owner=OWNER,
    libraries=["numpy", "polars", "scikit-learn"],
)
def model_evaluation(
    held_out_examples: pl.LazyFrame,
    labelled_examples: Annotated[pl.LazyFrame, Reads(EveryPartition(side_part=_POOLS))],
    spam_model: SpamModel,
    revenue: _Revenue,
) -> pl.LazyFrame:
    """Quality of the spam model on held-out campaigns and days, by slice, and the cost of its errors.

    Precision, recall and calibration by attack type, country, tier, new tracks, super-fans and shared networks, at 1, 3 and
    8 % spam; the artists who lose most; money wrongly withheld and wrongly paid, as far as revenue is known.
    """
    return evaluation_of(held_out_examples, labelled_examples, spam_model, revenue)


@stage(partitions=event_days, contract=Listening, owner=OWNER, libraries=["polars"])
def listening(
    plays: Annotated[
        pl.LazyFrame,
        Reads(
            columns=(
                *("user_key", "device_key", "ip_key", "track_key", "track_id"),
                *("country", "occurred_at", "ms_played", "client", "source"),
            )
        ),
    ],
    entity_facts: Annotated[
        pl.LazyFrame,
        Reads(columns=("entity_kind", "entity_key", "since", "country", "tier", "artist_key", "duration_ms")),
    ],
) -> pl.LazyFrame:
    """What each device heard for money on the day, by track: what suspicions of the next four weeks rest on."""
    return listening_of_day(plays, entity_facts)


@stage(partitions=event_days, contract=SuspiciousGroups, owner=OWNER, libraries=["numpy", "polars", "scipy"])
def suspicious_groups(listening: Annotated[pl.LazyFrame, Reads(TrailingDays(SUSPICION_DAYS))]) -> pl.LazyFrame:
    """Groups of tracks whose listening in the last four weeks is unlike that of others of their size, by queue and evidence.

    Nobody's decisions and no labels are in it. `docs/signals.md` has each family of evidence.
    """
    return suspicious_groups_of(listening)


@stage(partitions=event_days, contract=SuspectedPlays, owner=OWNER, libraries=["polars"])
def suspected_plays(
    suspicious_groups: _GroupsOfWeeks, incidents: _DecidedOfWeeks, listening: pl.LazyFrame
) -> pl.LazyFrame:
    """The slice of the day that waits for a person, by suspicion, device and track. Everything else of the day goes on."""
    return suspected_plays_of(suspicious_groups, incidents, listening)


@stage(partitions=event_days, contract=SuspectedIncidents, owner=OWNER, libraries=["polars"])
def suspected_incidents(
    suspicious_groups: _GroupsOfWeeks,
    incidents: _DecidedOfWeeks,
    listening: pl.LazyFrame,
    suspected_plays: pl.LazyFrame,
    revenue: _Revenue,
) -> pl.LazyFrame:
    """Suspected incidents in two queues, ranked, with evidence, peers and money at stake, for a person to confirm or clear.

    A group that was cleared comes back when its evidence or its plays double.
    """
    return suspected_incidents_of(suspicious_groups, incidents, listening, suspected_plays, revenue)


@stage(partitions=event_days, contract=CarriedDevices, owner=OWNER, libraries=["numpy", "polars"])
def carried_devices(
    listening: Annotated[pl.LazyFrame, Reads(TrailingDays(SUSPICION_DAYS))],
    incidents: Annotated[
        pl.LazyFrame,
        Reads(
            PartsOfTrailingDays(SUSPICION_DAYS),
            columns=("incident_id", "status", "attack_type", "entity_type", "entity_key"),
        ),
    ],
) -> pl.LazyFrame:
    """The rest of the campaigns that experts confirmed: about ten declared accounts lead to most of the others."""
    return carried_of(listening, incidents)


@stage(
    partitions=event_days,
    contract=ClassifiedPlays,
    owner=OWNER,
    libraries=["numpy", "polars", "scipy"],
    deadline=timedelta(hours=6),
)
def classified_plays(  # noqa: PLR0913, PLR0917 - one parameter for everything that it reads
    plays: Annotated[
        pl.LazyFrame,
        Reads(columns=(*_PLAY_COLUMNS, "event_id", "arrival_hour", "track_id", "client", "source")),
    ],
    play_signals: pl.LazyFrame,
    spam_model: SpamModel,
    incidents: _Incidents,
    carried_devices: pl.LazyFrame,
    suspected_plays: pl.LazyFrame,
) -> pl.LazyFrame:
    """Every play with its class, spam probability and reasons: the one spam record that all consumers read.

    Declared incidents overrule the model: confirmed is spam, cleared is legitimate. So is what a confirmed incident carries to.
    Plays of a suspicion wait for a person: unknown. Otherwise a play is spam from a probability of 0.8 on, legitimate below 0.2,
    and unknown in between; consumers choose their own tolerance.
    """
    return classify(plays, play_signals, spam_model, incidents, Groups(carried_devices, suspected_plays))


STAGES = (
    entity_facts,
    play_signals,
    listening,
    suspicious_groups,
    suspected_plays,
    suspected_incidents,
    carried_devices,
    labelled_examples,
    held_out_examples,
    spam_model,
    model_evaluation,
    classified_plays,
)
"""Every stage of this context, in the order of its data."""
