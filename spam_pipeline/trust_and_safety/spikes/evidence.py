"""Evidence about the most suspicious tracks of a day: their listeners, places and hours, compared with other plays.

Counts and effective numbers only, one row per track, small enough to be kept with a version. They are interpreted in
`clues`. The contract of classified plays measures this, so nothing of `contracts` can be imported here. It is most of the
fifth that fingerprints add to the cost of that stage, so the number of tracks is limited.
"""

from typing import Final

import polars as pl

MOST_TRACKS: Final = 20
"""The number of most played tracks: all that can have 5 % of a day's plays, and nearly always all that have 1 %."""

CUT_OFF_TRACKS: Final = 5
"""The number of tracks added for being cut off most often, because an attack can spread over a few tracks."""

SAMPLED_PLAYS: Final = 5000
"""The most plays at which mixtures are compared, always at equal numbers; more would not change the result."""

SAMPLED_LISTENERS: Final = 1000
"""The most listeners of a track whose other plays are counted. Keys are hashes: the smallest are a random sample."""

NAMED_NETWORKS: Final = 3

FEW_LISTENERS: Final = 3
"""The size of a household, whose habits say nothing about a crowd."""

PAID_FROM_MS: Final = 30_000
JUST_PAID_TO_MS: Final = 36_000
"""A play that ends between 30 s, from which it is paid, and this was worth money and hardly listened to."""

CUT_OFF_TO_MS: Final = 60_000
"""Hardly any listener stops between 30 s and this; those who play for the money do."""

HOURS: Final = 24
DIGITS: Final = 6

MIXTURES: Final = {
    "networks": "network_key",
    "user_agents": "user_agent_key",
    "sources": "source",
    "countries": "country",
    "hours": "hour",
}
"""The spreads of a track's plays that are measured, and the column of each."""

MOST_FIRST: Final = ("plays", "track_key")
_MICRONATS: Final = 1_000_000


def is_undecided() -> pl.Expr:
    """True for plays that the model does not call spam and that belong to no confirmed or cleared incident."""
    is_open = pl.col("incident_status").is_null() | (pl.col("incident_status") == "suspected")
    return (pl.col("class") != "spam") & is_open


def evidence_of_tracks(classified: pl.LazyFrame) -> pl.LazyFrame:
    """Measure the tracks with the most undecided plays and those most often cut off, one row each, the most played first.

    `plays` counts undecided plays of the track, `day_plays` all plays of the frame.

    Of all plays of the track: `plays_per_listener` and `listener_variation`, their coefficient of variation;
    `few_listeners_plays`, those of the `FEW_LISTENERS` busiest listeners; `cut_off_share`, the share that stops between 30 and
    60 s and not where the track itself ends; `hour_counts`, by hour of the day (UTC). Of its listeners, or a random
    `SAMPLED_LISTENERS` of them: `spill_over`, their mean number of plays of tracks outside this list, and `stranger_share`, the
    share that have none.

    Of at most `SAMPLED_PLAYS` plays: `effective_*`, effective numbers (2^H, Miller-Madow); `short_share`, the share that ends just
    past 30 s; `top_networks`, the most frequent ones with their shares. `usual_*` are the same of equally many undecided plays of
    tracks outside this list. Both samples are evenly spaced over the frame.
    """
    tracks = _suspects(classified)
    is_suspect = pl.col("track_key").is_in(tracks["track_key"].implode())
    plays = _narrow(classified.filter(is_undecided()))
    others = plays.filter(~is_suspect)
    names = classified.filter(is_suspect).group_by("track_key").agg(pl.col("track_id").first())
    queries = [names, plays.filter(is_suspect), _sampled(others, tracks)]
    named, suspects, usual = pl.collect_all(queries, engine="streaming")
    compared = _at_equal_numbers(suspects, usual, tracks).collect()
    return _joined(
        named.join(tracks.select("track_key", "plays", "day_plays"), on="track_key").sort(
            *MOST_FIRST, descending=[True, False]
        ),
        _listeners(suspects, others),
        _cut_off(suspects),
        _mixtures(compared.lazy()),
        _hour_counts(suspects).rename({"counts": "hour_counts"}),
        _usual_hour_counts(usual, tracks),
        _top_networks(compared),
    ).lazy()


def _narrow(plays: pl.LazyFrame) -> pl.LazyFrame:
    return plays.select(
        "track_key",
        "network_key",
        "user_agent_key",
        "source",
        "country",
        actor_key=pl.coalesce("user_key", "device_key"),
        hour=pl.col("occurred_at").dt.hour(),
        second=pl.col("ms_played") // 1000,
        is_short=pl.col("ms_played").is_between(PAID_FROM_MS, JUST_PAID_TO_MS, closed="left"),
        is_paid=pl.col("ms_played") >= PAID_FROM_MS,
        is_cut_off=_is_cut_off(),
    )


def _suspects(classified: pl.LazyFrame) -> pl.DataFrame:
    """Select the tracks, and how many of their own and of the other tracks' plays are `compared`."""
    by_track = classified.filter(is_undecided()).group_by("track_key")
    counts = by_track.agg(plays=pl.len().cast(pl.Int64), cut_off=_is_cut_off().sum())
    counted, day = pl.collect_all([counts, classified.select(pl.len())], engine="streaming")
    most = counted.top_k(MOST_TRACKS, by=MOST_FIRST, reverse=[False, True])
    rest = counted.join(most, on="track_key", how="anti")
    tracks = pl.concat([most, rest.top_k(CUT_OFF_TRACKS, by=["cut_off", "track_key"], reverse=[False, True])])
    others = int(counted["plays"].sum()) - int(tracks["plays"].sum())
    return tracks.select(
        "track_key",
        "plays",
        day_plays=pl.lit(day.item(), pl.Int64),
        others=pl.lit(others, pl.Int64),
        compared=pl.min_horizontal("plays", pl.lit(others), pl.lit(SAMPLED_PLAYS)).cast(pl.Int64),
    )


def _is_cut_off() -> pl.Expr:
    return pl.col("ms_played").is_between(PAID_FROM_MS, CUT_OFF_TO_MS, closed="left")


def _is_spaced(row: pl.Expr, wanted: pl.Expr, rows: pl.Expr) -> pl.Expr:
    """True for `wanted` rows (at most all), numbered from 0, that are evenly spaced among `rows`."""
    return row.cast(pl.Int64) * wanted % rows < wanted


def _sampled(others: pl.LazyFrame, tracks: pl.DataFrame) -> pl.LazyFrame:
    """Sample as many plays of other tracks as the largest comparison needs."""
    rows, wanted = tracks["others"].max() or 1, tracks["compared"].max() or 0
    numbered = others.drop("track_key", "actor_key", "second", "is_paid").with_row_index("row")
    return numbered.filter(_is_spaced(pl.col("row"), pl.lit(wanted), pl.lit(rows))).drop("row")


def _at_equal_numbers(suspects: pl.DataFrame, usual: pl.DataFrame, tracks: pl.DataFrame) -> pl.LazyFrame:
    """Pair the sampled plays of each track with equally many `usual` ones under the same `track_key`."""
    sizes, columns = (
        tracks.lazy().select("track_key", "plays", "compared"),
        [*MIXTURES.values(), "is_short", "is_cut_off"],
    )
    row, compared = pl.col("row"), pl.col("compared")
    own = suspects.lazy().with_columns(row=pl.int_range(pl.len()).over("track_key")).join(sizes, on="track_key")
    rest = usual.lazy().with_row_index("row").join(sizes, how="cross")
    kept = [
        own.filter(_is_spaced(row, compared, pl.col("plays"))).select(
            "track_key", *columns, is_usual=pl.lit(value=False)
        ),
        rest.filter(_is_spaced(row, compared, pl.lit(max(usual.height, 1)))).select(
            "track_key", *columns, is_usual=pl.lit(value=True)
        ),
    ]
    return pl.concat(kept)


def _mixtures(compared: pl.LazyFrame) -> pl.DataFrame:
    """Compute the effective numbers and the short share of each track beside the usual ones."""
    group = ["track_key", "is_usual"]
    shares = compared.group_by(group).agg(
        short_share=pl.col("is_short").mean().round(DIGITS), cut_off_share=pl.col("is_cut_off").mean().round(DIGITS)
    )
    effective = [_effective(compared, group, name, column) for name, column in MIXTURES.items()]
    first, *rest = pl.collect_all([shares, *effective])
    both = _joined(first, *rest, on=group)
    own, usual = (both.filter(pl.col("is_usual") == side).drop("is_usual") for side in (False, True))
    return own.drop("cut_off_share").join(
        usual.rename(lambda name: name if name == "track_key" else f"usual_{name}"), on="track_key", how="left"
    )


def _effective(compared: pl.LazyFrame, group: list[str], name: str, column: str) -> pl.LazyFrame:
    """Compute the effective number of values of a column, e^H with H in nats, by integer sums that no order changes.

    The plug-in entropy of a small sample is too low; Miller and Madow add (values - 1) / (2 plays).
    """
    count, total = pl.col("count"), pl.col("count").sum()
    terms = (count * count.log() * _MICRONATS).round().cast(pl.Int64)
    entropy = total.log() - terms.sum() / _MICRONATS / total + (pl.len() - 1) / (2 * total)
    counts = compared.filter(pl.col(column).is_not_null()).group_by(*group, column).agg(count=pl.len().cast(pl.Int64))
    return counts.group_by(group).agg(entropy.exp().round(DIGITS).alias(f"effective_{name}"))


def _listeners(suspects: pl.DataFrame, others: pl.LazyFrame) -> pl.DataFrame:
    pairs = _counted(suspects, "track_key", "actor_key")
    count, mean = pl.col("count"), pl.col("count").sum() / pl.len()
    variation = (pl.len() * count.pow(2).sum() / count.sum().pow(2) - 1).clip(lower_bound=0).sqrt()
    statistics = pairs.group_by("track_key").agg(
        listeners=pl.len().cast(pl.Int64),
        plays_per_listener=mean.round(DIGITS),
        listener_variation=variation.round(DIGITS),
        few_listeners_plays=count.top_k(FEW_LISTENERS).sum(),
    )
    return statistics.join(_spill_over(pairs, others), on="track_key", how="left")


def _spill_over(pairs: pl.DataFrame, others: pl.LazyFrame) -> pl.DataFrame:
    some = pairs.group_by("track_key").agg(pl.col("actor_key").bottom_k(SAMPLED_LISTENERS)).explode("actor_key")
    is_listener = pl.col("actor_key").is_in(some["actor_key"].unique().implode())
    heard = others.filter(is_listener).group_by("actor_key").agg(others=pl.len().cast(pl.Int64))
    known = some.join(heard.collect(engine="streaming"), on="actor_key", how="left")
    return known.group_by("track_key").agg(
        spill_over=(pl.col("others").sum() / pl.len()).round(DIGITS),
        stranger_share=pl.col("others").is_null().mean().round(DIGITS),
    )


def _cut_off(suspects: pl.DataFrame) -> pl.DataFrame:
    """Compute the cut-off share; where over half of the plays past 30 s end in one second, that is the end of a short track."""
    stopped = suspects.lazy().filter("is_cut_off").group_by("track_key", "second").agg(count=pl.len().cast(pl.Int64))
    totals = suspects.lazy().group_by("track_key").agg(rows=pl.len(), paid=pl.col("is_paid").sum().cast(pl.Int64))
    count, paid = pl.col("count"), pl.col("paid").first()
    is_end = count.max() * 2 > paid
    cut_off = count.sum().fill_null(0) - pl.when(is_end).then(count.max()).otherwise(0)
    return (
        totals.join(stopped, on="track_key", how="left")
        .group_by("track_key")
        .agg(cut_off_share=(cut_off / pl.col("rows").first()).round(DIGITS))
        .collect()
    )


def _hour_counts(plays: pl.DataFrame) -> pl.DataFrame:
    """Count plays in each of the 24 hours, by track, as `counts`."""
    by_hour = [pl.col("count").filter(pl.col("hour") == hour).sum().alias(str(hour)) for hour in range(HOURS)]
    counts = _counted(plays, "track_key", "hour").group_by("track_key").agg(by_hour)
    return counts.select("track_key", counts=pl.concat_list(str(hour) for hour in range(HOURS)))


def _usual_hour_counts(usual: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """Count the plays of other tracks by hour, the same for every track."""
    together = _hour_counts(usual.with_columns(track_key=pl.lit(0, pl.UInt64))).select(usual_hour_counts="counts")
    return tracks.select("track_key").join(together, how="cross")


def _top_networks(compared: pl.DataFrame) -> pl.DataFrame:
    known = compared.filter(~pl.col("is_usual") & pl.col("network_key").is_not_null())
    total = pl.col("count").sum().over("track_key")
    counts = _counted(known, "track_key", "network_key").with_columns(share=(pl.col("count") / total).round(DIGITS))
    most = counts.sort("count", "network_key", descending=[True, False]).group_by("track_key", maintain_order=True)
    named = most.head(NAMED_NETWORKS)
    return named.group_by("track_key", maintain_order=True).agg(top_networks=pl.struct("network_key", "share"))


def _counted(plays: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Count the plays of each combination of values, as `count`."""
    return plays.lazy().group_by(by).agg(count=pl.len().cast(pl.Int64)).collect(engine="streaming")


def _joined(first: pl.DataFrame, *others: pl.DataFrame, on: str | list[str] = "track_key") -> pl.DataFrame:
    for other in others:
        first = first.join(other, on=on, how="left", maintain_order="left")
    return first
