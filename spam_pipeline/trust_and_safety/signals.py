"""Behavioural signals of actors, devices, networks and tracks on one day, from that day and the days before it.

All of it is causal: nothing after the day is read. Group-bys run on integer keys; what is summed are integers, and what
is divided is rounded, so the same plays give the same bytes whatever the plan. What a signal means for a verdict is
decided in `model`, not here.
"""

import math
from datetime import date

import polars as pl

from spam_pipeline.protocol.contract import column_types
from spam_pipeline.trust_and_safety.contracts import ACTOR, DEVICE, NETWORK, TRACK, PlaySignals

KEY_COLUMNS = {ACTOR: "actor_key", DEVICE: "device_key", NETWORK: "network_key", TRACK: "track_key"}
"""Which column of a play (after `with_actor`) names its entity of each kind."""

MIN_PLAYS = 10
"""Shares, ratios and mixtures of fewer plays are null: they say nothing about behaviour."""

MIN_ACTORS = 5
"""Plays per actor of a network with fewer actors are null: that is one household, not a crowd."""

SHORT_FROM_MS, SHORT_TO_MS = 30_000, 36_000
"""A play that ends in this span earned money and little else: a play earns from 30 s on."""

SESSION_GAP_MS = 600_000
"""A longer pause is the end of a session and says nothing about its rhythm."""

DIGITS = 6
MICROBITS = 1_000_000


def with_actor(plays: pl.LazyFrame) -> pl.LazyFrame:
    """Add `actor_key`: the account, or the device of a play that is logged out."""
    return plays.with_columns(actor_key=pl.coalesce("user_key", "device_key"))


def signals_of_day(plays: pl.LazyFrame, day: str) -> pl.LazyFrame:
    """The signals of every entity with a play on `day`, as `PlaySignals`; `plays` may hold days before `day` too."""
    when = pl.col("occurred_at").dt.date()
    known = with_actor(plays)
    before = known.filter(when < date.fromisoformat(day))
    today = _today(known.filter(when == date.fromisoformat(day)))
    kinds = {
        ACTOR: _actor_signals(today, before),
        DEVICE: _device_signals(today),
        NETWORK: _network_signals(today),
        TRACK: _track_signals(today, before),
    }
    columns = pl.Schema(column_types(PlaySignals))
    rows = [
        signals.rename({KEY_COLUMNS[kind]: "entity_key"}).with_columns(entity_kind=pl.lit(kind))
        for kind, signals in kinds.items()
    ]
    return (
        pl.concat(rows, how="diagonal_relaxed").cast(columns).select(*columns).sort("entity_kind", "entity_key").lazy()
    )


def _today(plays: pl.LazyFrame) -> pl.DataFrame:
    """The day's plays with the columns that signals need and nothing else, because this frame is held in memory."""
    return plays.select(
        *KEY_COLUMNS.values(),
        "user_agent_key",
        "country",
        "source",
        "occurred_at",
        hour=pl.col("occurred_at").dt.hour(),
        is_short=pl.col("ms_played").is_between(SHORT_FROM_MS, SHORT_TO_MS, closed="left"),
        is_embed=(pl.col("client") == "embed") | (pl.col("source") == "embed"),
        is_logged_out=pl.col("user_key").is_null(),
    ).collect()


def _actor_signals(today: pl.DataFrame, before: pl.LazyFrame) -> pl.DataFrame:
    tracks = _mixture(today, by=ACTOR, of="track_key")
    return _joined(
        _counted(today, ACTOR),
        tracks.select("actor_key", tracks="members", top_track_share=_top_share()),
        _mixture(today, by=ACTOR, of="network_key").select("actor_key", networks="members"),
        _mixture(today, by=ACTOR, of="country").select("actor_key", countries="members"),
        _mixture(today, by=ACTOR, of="hour").select("actor_key", hours="members"),
        _rhythm(today),
        _new_countries(today, before),
    )


def _device_signals(today: pl.DataFrame) -> pl.DataFrame:
    return _joined(
        _counted(today, DEVICE),
        _mixture(today, by=DEVICE, of="actor_key").select("device_key", actors="members"),
        _mixture(today, by=DEVICE, of="network_key").select("device_key", networks="members"),
    )


def _network_signals(today: pl.DataFrame) -> pl.DataFrame:
    known = today.filter(pl.col("network_key").is_not_null())
    agents = _mixture(known, by=NETWORK, of="user_agent_key")
    crowd = pl.when(pl.col("actors") >= MIN_ACTORS)
    return _joined(
        _counted(known, NETWORK),
        _mixture(known, by=NETWORK, of="actor_key").select("network_key", actors="members"),
        _mixture(known, by=NETWORK, of="track_key").select("network_key", top_track_share=_top_share()),
        agents.select("network_key", effective_user_agents=_effective_members()),
    ).with_columns(
        plays_per_actor=crowd.then(_ratio("plays", "actors")),
        actors_per_user_agent=_ratio("actors", "effective_user_agents"),
    )


def _track_signals(today: pl.DataFrame, before: pl.LazyFrame) -> pl.DataFrame:
    networks = _mixture(today, by=TRACK, of="network_key")
    return (
        _joined(
            _counted(today, TRACK),
            _mixture(today, by=TRACK, of="actor_key").select("track_key", actors="members"),
            networks.select("track_key", top_network_share=_top_share(), effective_networks=_effective_members()),
            _mixture(today, by=TRACK, of="source").select("track_key", top_source_share=_top_share()),
            _mixture(today, by=TRACK, of="hour").select("track_key", effective_hours=_effective_members()),
            _history(before),
        )
        .with_columns(
            plays_per_actor=pl.when(pl.col("plays") >= MIN_PLAYS).then(_ratio("plays", "actors")),
            spike=_spike(_days(before)),
        )
        .drop("plays_before")
    )


def _counted(today: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Plays of each entity, and the shares of them that are short, embedded, or logged out."""
    counts = today.group_by(KEY_COLUMNS[kind]).agg(
        pl.len().cast(pl.Int64).alias("plays"), pl.col("is_short", "is_embed", "is_logged_out").sum().cast(pl.Int64)
    )
    enough = pl.when(pl.col("plays") >= MIN_PLAYS)
    shares = {f"{flag}_share": enough.then(_ratio(f"is_{flag}", "plays")) for flag in ("short", "embed", "logged_out")}
    return counts.select(KEY_COLUMNS[kind], "plays", **shares)


def _mixture(today: pl.DataFrame, *, by: str, of: str) -> pl.DataFrame:
    """How the plays of each entity of kind `by` spread over the values of `of`, in integers.

    `total` counts plays with a value, `members` the distinct values, `top` the plays of the most frequent one, and
    `microbits` is the sum of count * log2(count), each term rounded, so that its order cannot change the sum.
    """
    count = pl.col("count")
    pairs = (
        today.lazy().filter(pl.col(of).is_not_null()).group_by(KEY_COLUMNS[by], of).agg(count=pl.len().cast(pl.Int64))
    )
    return (
        pairs.group_by(KEY_COLUMNS[by])
        .agg(
            total=count.sum(),
            members=pl.len().cast(pl.Int64),
            top=count.max(),
            microbits=(count * count.log(2) * MICROBITS).round().cast(pl.Int64).sum(),
        )
        .collect(engine="streaming")
    )


def _top_share() -> pl.Expr:
    return pl.when(pl.col("total") >= MIN_PLAYS).then(_ratio("top", "total"))


def _effective_members() -> pl.Expr:
    """The effective number of a `_mixture`: how many equally busy members would be as mixed.

    The plug-in entropy of a small sample is too low; Miller and Madow add (members - 1) / (2 * plays * ln 2) bits.
    """
    total = pl.col("total")
    plug_in = total.log(2) - pl.col("microbits") / MICROBITS / total
    corrected = plug_in + (pl.col("members") - 1) / (2 * math.log(2) * total)
    return pl.when(total >= MIN_PLAYS).then((2**corrected).round(DIGITS))


def _ratio(numerator: str, denominator: str) -> pl.Expr:
    return (pl.col(numerator) / pl.col(denominator)).round(DIGITS)


def _rhythm(today: pl.DataFrame) -> pl.DataFrame:
    """Mean and coefficient of variation of the gaps between starts within an actor's sessions."""
    gap = pl.col("occurred_at").diff().dt.total_milliseconds()
    ordered = today.lazy().select("actor_key", "occurred_at").sort("actor_key", "occurred_at")
    gaps = ordered.select("actor_key", gap=pl.when(pl.col("actor_key") == pl.col("actor_key").shift()).then(gap))
    sums = (
        gaps.filter(pl.col("gap") <= SESSION_GAP_MS)
        .group_by("actor_key")
        .agg(gaps=pl.len(), total=pl.col("gap").sum(), squares=(pl.col("gap") * pl.col("gap")).sum())
        .filter(pl.col("gaps") >= MIN_PLAYS, pl.col("total") > 0)
        .collect()
    )
    mean = pl.col("total") / pl.col("gaps")
    deviation = (pl.col("squares") / pl.col("gaps") - mean * mean).clip(lower_bound=0).sqrt()
    return sums.select(
        "actor_key", gap_mean_s=(mean / 1000).round(DIGITS), gap_variation=(deviation / mean).round(DIGITS)
    )


def _new_countries(today: pl.DataFrame, before: pl.LazyFrame) -> pl.DataFrame:
    """The share of an actor's plays from countries it had not been heard from; absent for actors without a past."""
    past = (
        before.filter(pl.col("country").is_not_null())
        .group_by("actor_key", "country")
        .agg(pl.lit(value=True).alias("is_known"))
        .collect(engine="streaming")
    )
    plays = today.lazy().filter(pl.col("country").is_not_null()).group_by("actor_key", "country").agg(count=pl.len())
    counts = (
        plays.join(past.lazy().select("actor_key").unique(), on="actor_key", how="semi")
        .join(past.lazy(), on=["actor_key", "country"], how="left")
        .group_by("actor_key")
        .agg(total=pl.col("count").sum(), new=pl.col("count").filter(pl.col("is_known").is_null()).sum())
        .collect()
    )
    return counts.select("actor_key", new_country_share=_ratio("new", "total"))


def _history(before: pl.LazyFrame) -> pl.DataFrame:
    return before.group_by("track_key").agg(plays_before=pl.len().cast(pl.Int64)).collect(engine="streaming")


def _days(before: pl.LazyFrame) -> int:
    days: int = before.select(pl.col("occurred_at").dt.date().n_unique()).collect(engine="streaming").item()
    return days


def _spike(days: int) -> pl.Expr:
    """Plays against one more than the mean of the days before; null as long as there are no days before."""
    if days == 0:
        return pl.lit(None, dtype=pl.Float64)
    plays_before = pl.col("plays_before").fill_null(0)
    return (pl.col("plays") * days / (plays_before + days)).round(DIGITS)


def _joined(counted: pl.DataFrame, *others: pl.DataFrame) -> pl.DataFrame:
    """One row per entity of `counted`; what another frame does not know of it is null."""
    key = counted.columns[0]
    for other in others:
        counted = counted.join(other, on=key, how="left")
    return counted
