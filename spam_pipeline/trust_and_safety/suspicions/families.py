"""Families of evidence about a group's listening, each weighed against honest groups of the same size.

A family is a number of a group, and its evidence is -log10 of the chance of such a number among peers: robust, by median and
median deviation of groups with about as many listeners, because attacks are among the peers. Evidence is capped, so that no
family decides alone. Families of one block measure related things, and the strongest of them counts. All sums are of integers.
`docs/signals.md` says of each family what hides it.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.trust_and_safety.signals.catalogue import Matrix
from spam_pipeline.trust_and_safety.suspicions.groups import CLUSTER
from spam_pipeline.trust_and_safety.suspicions.window import Window
from spam_pipeline.trust_and_safety.suspicions_contract import AUTOMATION, BEHAVIOUR


@dataclass(frozen=True)
class Family:
    """One family: its queue, the block of related families, the most it can add, and whether few of it is suspicious.

    Peers that are all alike must not make a trifle into evidence: a spread counts as `least_spread` at least.
    """

    name: str
    queue: str
    block: str
    most: float
    least_spread: float
    is_low: bool = False


OVERLAP: Final = Family("overlap", BEHAVIOUR, "overlap", 3.0, 0.0)
FAMILIES: Final = (
    OVERLAP,
    Family("devotion", BEHAVIOUR, "devotion", 3.0, 0.1),
    Family("evenness", BEHAVIOUR, "evenness", 2.0, 0.1, is_low=True),
    Family("growth", BEHAVIOUR, "growth", 2.0, 0.1),
    Family("setting", AUTOMATION, "source", 3.0, 0.02),
    Family("address", AUTOMATION, "source", 3.0, 0.02, is_low=True),
    Family("hours", AUTOMATION, "hours", 3.0, 0.02),
    Family("registration", AUTOMATION, "registration", 3.0, 0.02),
    Family("cut_off", AUTOMATION, "cut_off", 3.0, 0.01),
)
"""Every family, by block. Evenness and growth add less: a release has both."""

FEWEST_PLAYS, FEWEST_DEVICES = 25, 4
"""Smaller groups say nothing, and are worth nothing."""

FEWEST_PEERS: Final = 15
"""With fewer peers of a size, all sizes are the peers."""

SPREAD: Final = 1.5
"""Honest numbers have heavier tails than a normal distribution: a deviation is divided by this before its chance is taken."""

LEAST_DEVIATION: Final = 1.0
"""From here on a deviation is evidence at all."""

PRIOR_PLAYS: Final = 4
"""A listener's share is taken of so many more plays, so that one play alone is not devotion."""

PRIOR_LISTENERS: Final = 3
REPEATED: Final = 1.8
"""With fewer plays per listener most come once, and how even they are says nothing."""

CORE_FROM, CORE_TO = 0.6, 1.0
"""The share of a cluster's plays by devices that hear at least half of its items: between these, more of it is more evidence. Hits of one
genre reach 0.7, because the same people hear them."""

REGISTRATION_DAYS: Final = 15
_MILLION: Final = 1_000_000


def measured(window: Window, grouped: pl.DataFrame) -> pl.DataFrame:
    """Compute the number of each family for each group, null where one does not apply.

    One row per `kind` and `group`, with `plays`, `devices` and the names of `FAMILIES`; `grouped` has the items of each group.
    """
    key = ["kind", "group"]
    groups = grouped.group_by(key).agg(size=pl.len().cast(pl.Int64)).sort(key).with_row_index("number")
    numbered = grouped.join(groups, on=key).select("number", "item")
    weeks = _weeks(window.listening)
    sums = reduce(
        _added, (_sums(members_of(of_range, numbered, **weeks.heard()), groups) for of_range in window.ranges)
    )
    addresses = _group_by_group(sums.addresses, window.rows_at_once, _addresses)
    found = groups.select("number", *key).join(_audience(sums.audience, addresses, weeks), on="number")
    for of_family in (
        _group_by_group(sums.registration, window.rows_at_once, _registration),
        sums.core.select("number", overlap=pl.col("core") / pl.col("plays")),
        _divergence(window.listening, numbered, "setting").rename({"divergence": "setting"}),
        _divergence(window.listening, numbered, "hour").rename({"divergence": "hours"}),
    ):
        found = found.join(of_family, on="number", how="left")
    return found.drop("number").sort(key)


def members_of(listening: pl.LazyFrame, grouped: pl.DataFrame, **ever: pl.Expr) -> pl.DataFrame:
    """Sum listening to one row per group and `device_key`; a group is every column of `grouped` but its `item`.

    `total` is everything the device heard, `items` how many of the group's items. Columns of `ever` are true where their condition
    holds for any of it.
    """
    key = [name for name in grouped.columns if name != "item"]
    pairs = (
        listening.join(grouped.lazy().select("item").unique(), on="item", how="semi")
        .group_by("device_key", "item")
        .agg(
            pl.col("plays", "cut_off").sum(),
            pl.col("day").min().alias("first_day"),
            pl.col("ip_key", "account_since").min(),
            **{name: condition.max() for name, condition in ever.items()},
        )
    )
    total = listening.group_by("device_key").agg(total=pl.col("plays").sum())
    return (
        pairs.join(grouped.lazy(), on="item")
        .group_by(*key, "device_key")
        .agg(
            pl.col("plays", "cut_off").sum(),
            pl.col("first_day", "ip_key", "account_since").min(),
            *(pl.col(name).max() for name in ever),
            items=pl.len().cast(pl.Int64),
        )
        .join(total, on="device_key")
        .collect(engine="streaming")
    )


def own_share() -> pl.Expr:
    """The share of a device's listening that goes to the group, in millionths."""
    return pl.col("plays") * _MILLION // (pl.col("total") + PRIOR_PLAYS)


class _Weeks(NamedTuple):
    """The weeks of a window, which end with its `last` day; of each, `days` had listening. The first may be shorter."""

    last: date
    days: dict[int, int]

    def heard(self) -> dict[str, pl.Expr]:
        """The condition that listening is of a week, by the name of the week's column."""
        week = (pl.lit(self.last, pl.Date) - pl.col("day")).dt.total_days() // 7
        return {f"week_{number}": week == number for number in self.days}


def _weeks(listening: pl.LazyFrame) -> _Weeks:
    days: list[date] = listening.select("day").unique().collect(engine="streaming").get_column("day").to_list()
    last = max(days)
    return _Weeks(last, dict(Counter((last - day).days // 7 for day in sorted(days, reverse=True))))


class _Sums(NamedTuple):
    """Sums over members by the `number` of their group.

    The `core` of a cluster are the plays by devices that hear at least half of its items, two at least; its share is the overlap.
    Addresses cannot be summed, so they are listed until those of all ranges are known; so is `registration`, which has as many
    rows: to add it up after every range took 1.5 GB of a window of 19 million rows.
    """

    audience: pl.DataFrame
    addresses: pl.DataFrame
    registration: pl.DataFrame
    core: pl.DataFrame


def _sums(members: pl.DataFrame, groups: pl.DataFrame) -> _Sums:
    plays, half = pl.col("plays"), pl.col("account_since").to_physical() // REGISTRATION_DAYS
    clusters = groups.filter(pl.col("kind") == CLUSTER).select("number", "size")
    is_core = pl.col("items") >= pl.max_horizontal(pl.lit(2), (pl.col("size") + 1) // 2)
    return _Sums(
        members.group_by("number").agg(
            plays.sum(),
            devices=pl.len().cast(pl.Int64),
            squares=(plays * plays).sum(),
            devoted=(plays * own_share()).sum(),
            cut=pl.col("cut_off").sum(),
            **{name: pl.col(name).sum().cast(pl.Int64) for name in members.columns if name.startswith("week_")},
        ),
        members.select("number", "ip_key").unique(),
        members.drop_nulls("account_since").group_by("number", half=half).agg(opened=pl.len()),
        members.join(clusters, on="number").group_by("number").agg(plays.sum(), core=plays.filter(is_core).sum()),
    )


def _added(one: _Sums, other: _Sums) -> _Sums:
    """Add up the sums of two ranges of devices."""
    audience, addresses, registration, core = (pl.concat(frames) for frames in zip(one, other, strict=True))
    return _Sums(
        audience.group_by("number").sum(),
        addresses,
        registration,
        core.group_by("number").sum(),
    )


def _group_by_group(
    listed: pl.DataFrame, rows_at_once: int, numbers: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """Compute the numbers of groups from what is listed of them, for some groups after the others."""
    number = pl.col("number")
    parts = listed.height // rows_at_once + 1
    groups = listed.select(number.max() // parts + 1).item()
    return pl.concat([numbers(listed.filter(number // groups == part)) for part in range(parts)])


def _addresses(listed: pl.DataFrame) -> pl.DataFrame:
    """Count the addresses of each group, an unknown one as one."""
    return listed.unique().group_by("number").agg(addresses=pl.len())


def _audience(sums: pl.DataFrame, addresses: pl.DataFrame, weeks: _Weeks) -> pl.DataFrame:
    """Compute five families of the audience of each group that is large enough.

    Devotion: the own share of the listener of the mean play. Evenness: log of variance over mean of plays per listener.
    Address: addresses per listener. Cut-off: the share of plays that ended within their first minute. Growth is in `_growth`.
    """
    plays, devices = pl.col("plays"), pl.col("devices")
    mean = plays / devices
    variance = pl.max_horizontal(pl.col("squares") / devices - mean**2, pl.lit(0.0))
    large = sums.filter(plays >= FEWEST_PLAYS, devices >= FEWEST_DEVICES)
    return large.join(addresses, on="number").select(
        "number",
        "plays",
        "devices",
        devotion=pl.col("devoted") / plays / _MILLION,
        evenness=pl.when(mean >= REPEATED).then((variance / mean + 0.05).log()),
        growth=_growth(weeks),
        address=pl.col("addresses") / devices,
        cut_off=pl.col("cut") / plays,
    )


def _growth(weeks: _Weeks) -> pl.Expr:
    """Log of listeners in the best week over those of a mean week of the rest. Listeners, not plays: one fan's burst is no growth.

    Null while there is only one week: then it would measure size.
    """
    if len(weeks.days) < 2:  # noqa: PLR2004 - there is no rest
        return pl.lit(None, pl.Float64)
    heard = [pl.col(name) for name in weeks.heard()]
    best, days = pl.max_horizontal(heard), list(weeks.days.values())
    length = pl.coalesce(pl.when(of_week == best).then(count) for of_week, count in zip(heard, days, strict=True))
    rest = (pl.sum_horizontal(heard) - best) * 7 / (sum(days) - length).clip(7)
    return ((best + PRIOR_LISTENERS) / (rest + PRIOR_LISTENERS)).log()


def _registration(listed: pl.DataFrame) -> pl.DataFrame:
    """The largest share of the group's accounts that were opened within a month: two neighbouring halves of it."""
    counted = listed.group_by("number", "half").agg(pl.col("opened").cast(pl.Int64).sum())
    following = counted.with_columns(pl.col("half") - 1).rename({"opened": "following"})
    both = counted.join(following, on=["number", "half"], how="left").with_columns(pl.col("following").fill_null(0))
    most = (pl.col("opened") + pl.col("following")).max()
    return both.group_by("number").agg(registration=most / (pl.col("opened").sum() + 2))


def _divergence(listening: pl.LazyFrame, numbered: pl.DataFrame, column: str) -> pl.DataFrame:
    """Divergence of the group's plays over the values of a column from the platform's, in bits, less what chance adds.

    Kullback-Leibler; chance adds (values - 1) / (2 * plays * ln 2) bits (Miller and Madow).
    """
    of_items = listening.group_by("item", column).agg(pl.col("plays").sum()).collect(engine="streaming")
    usual = of_items.group_by(column).agg(usual=pl.col("plays").sum())
    everything = usual.get_column("usual").sum()
    counted = of_items.join(numbered, on="item").group_by("number", column).agg(pl.col("plays").sum())
    plays = pl.col("plays")
    whole = plays.sum().over("number")
    bits = plays * (plays * everything / (whole * pl.col("usual"))).log(2)
    termed = counted.join(usual, on=column).with_columns(micro=(bits * _MILLION).round().cast(pl.Int64))
    chance = (pl.len() - 1) / (2 * math.log(2) * plays.sum())
    return termed.group_by("number").agg(divergence=pl.col("micro").sum() / _MILLION / plays.sum() - chance)


def weighed(groups: pl.DataFrame) -> pl.DataFrame:
    """Add to each group `usual_<family>` and `evidence_<family>`, `peers`, and the sum of each queue times the stake.

    The columns of the queues are named after them. The stake is log10 of the group's plays.
    """
    size = np.clip(np.log2(groups.get_column("devices").to_numpy()).astype(np.int64), 2, 9)
    is_peer = (groups.get_column("kind") != CLUSTER).to_numpy()
    columns: dict[str, Matrix] = {}
    for family in FAMILIES:
        values = groups.get_column(family.name).cast(pl.Float64).to_numpy()
        usual, evidence = _core_evidence(values) if family is OVERLAP else _evidence(family, values, size, is_peer)
        columns[f"usual_{family.name}"], columns[f"evidence_{family.name}"] = usual, evidence
    of_size = np.array([np.count_nonzero(is_peer & (size == of)) for of in range(10)])[size]
    peers = np.where(of_size >= FEWEST_PEERS, of_size, np.count_nonzero(is_peer))
    added = groups.with_columns(peers=pl.Series(peers), **{name: pl.Series(values) for name, values in columns.items()})
    stake = pl.col("plays").cast(pl.Float64).log10()
    return added.with_columns(**{queue: (_sum_of_blocks(queue) * stake).round(4) for queue in (BEHAVIOUR, AUTOMATION)})


def _sum_of_blocks(queue: str) -> pl.Expr:
    blocks: dict[str, list[str]] = {}
    for family in FAMILIES:
        if family.queue == queue:
            blocks.setdefault(family.block, []).append(f"evidence_{family.name}")
    return pl.sum_horizontal([pl.max_horizontal(names) for names in blocks.values()])


def _core_evidence(core: Matrix) -> tuple[Matrix, Matrix]:
    """Weigh the core of clusters on a fixed scale: there are too few honest clusters to be a null."""
    share = np.clip((core - CORE_FROM) / (CORE_TO - CORE_FROM), 0, 1)
    return np.full(len(core), CORE_FROM), np.nan_to_num(share * OVERLAP.most).round(4)


def _evidence(
    family: Family, values: Matrix, size: npt.NDArray[np.int64], is_peer: npt.NDArray[np.bool_]
) -> tuple[Matrix, Matrix]:
    from scipy.special import log_ndtr  # type: ignore[import-untyped]  # noqa: PLC0415 - see `groups`

    scale = np.log(values + 1e-3) if family.name == "devotion" else values
    known = is_peer & ~np.isnan(values)
    usual, deviation = np.zeros(len(values)), np.zeros(len(values))
    for of in np.unique(size):
        here = size == of
        peers = known & here if np.count_nonzero(known & here) >= FEWEST_PEERS else known
        if not peers.any():
            continue
        middle = np.median(scale[peers])
        spread = max(1.4826 * float(np.median(np.abs(scale[peers] - middle))), family.least_spread)
        usual[here] = np.median(values[peers])
        deviation[here] = (scale[here] - middle) / spread * (-1 if family.is_low else 1)
    chance = -log_ndtr(-np.nan_to_num(np.clip(deviation, 0, 20)) / SPREAD) / math.log(10)
    evidence = np.where(deviation >= LEAST_DEVIATION, np.minimum(chance, family.most), 0.0)
    return usual, np.nan_to_num(evidence).round(4)
