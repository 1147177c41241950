"""The catalogue: artists, tracks with a long tail of popularity, the payees of each track, and payout rules.

Tracks of a campaign are planted after the platform's own and have no popularity among organic listeners, so that organic
listening is the same whatever scenarios are chosen. Listeners are in `listeners`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.identifiers import identifiers
from spam_pipeline.simulation.randomness import Indices, chance, draw, draw_cumulative

_WHOLE_PPM: Final = 1_000_000
_TWO_PAYEES: Final = 1
GENRES: Final = 12
MOST_UPLOADERS: Final = 16
"""The most uploaders of one campaign."""

_FIRST_WORDS: Final = pl.Series(
    ["Blue", "Última", "Silent", "Neon", "Paper", "Über", "Golden", "Lost", "深夜", "Velvet", "Hollow", "Little"]
)
_SECOND_WORDS: Final = pl.Series(
    [
        "River",
        "Noche",
        "Rain, Again",
        "Machine",
        'Moon "Live"',
        "Nacht",
        "Street",
        "Letters",
        "電車",
        "Kids",
        "Harbour",
        "Echo",
    ]
)


@dataclass(frozen=True)
class Planting:
    """Tracks of one campaign by `artists` new uploaders; the last of them appears on the day it begins. Days count from the start."""

    first_day: int
    tracks: int
    shortest_ms: int
    longest_ms: int
    oldest_days: int
    is_by_known_artist: bool
    artists: int = 1


@dataclass(frozen=True)
class Genres:
    """The platform's own tracks in the order of genres, their cumulative popularity, and where each genre begins and ends in it."""

    track: Indices
    cumulative_popularity: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]

    def popular(self, rng: np.random.Generator, genre: Indices) -> Indices:
        """Draw one track of each of these genres in proportion to its popularity."""
        least, most = self.bounds[genre], self.bounds[genre + 1]
        drawn = least + rng.random(len(genre)) * (most - least)
        return self.track[
            np.minimum(np.searchsorted(self.cumulative_popularity, drawn, side="right"), len(self.track) - 1)
        ]


@dataclass(frozen=True)
class Catalogue:
    """Tracks by position. Organic listeners draw from `cumulative_popularity`; `planted` has positions per campaign."""

    track_id: pl.Series
    artist: Indices
    duration_ms: Indices
    uploaded_ms: Indices
    cumulative_popularity: npt.NDArray[np.float64]
    tracks_of_artist: tuple[Indices, Indices]
    by_genre: "Genres"
    planted: tuple[Indices, ...]

    def popular(self, rng: np.random.Generator, count: int) -> Indices:
        """Draw `count` tracks in proportion to their popularity."""
        return draw_cumulative(rng, self.cumulative_popularity, count)

    def by_artist(self, rng: np.random.Generator, artist: Indices) -> Indices:
        """Draw one of the platform's own tracks for each of these artists."""
        first, tracks = self.tracks_of_artist
        return first[artist] + (rng.random(len(artist)) * tracks[artist]).astype(np.int64)

    @property
    def organic_tracks(self) -> int:
        """The number of the platform's own tracks, without planted ones."""
        return len(self.cumulative_popularity)


def catalogue(rng: np.random.Generator, tracks: int, plantings: Sequence[Planting]) -> Catalogue:
    """Generate `tracks` tracks, followed by the planted ones in the order of `plantings`."""
    sizes = _tracks_per_artist(rng, tracks)
    first = np.cumsum(sizes) - sizes
    artist = np.repeat(np.arange(len(sizes)), sizes)
    ranks = rng.permutation(tracks) + 1
    popularity = ranks**-0.95 * rng.lognormal(0.0, 0.5, len(sizes))[artist]
    duration = np.clip(rng.lognormal(np.log(205_000), 0.32, tracks), 45_000, 720_000).astype(np.int64)
    uploaded = -rng.integers(DAY_MS, 2400 * DAY_MS, tracks)
    planted = [
        _planted(rng, planting, len(sizes), number * MOST_UPLOADERS) for number, planting in enumerate(plantings)
    ]
    ends = tracks + np.cumsum([0, *(planting.tracks for planting in plantings)])
    artist, duration, uploaded = (
        np.concatenate([own, *(planted_columns[column] for planted_columns in planted)])
        for column, own in enumerate((artist, duration, uploaded))
    )
    return Catalogue(
        track_id=identifiers("t", np.arange(len(artist))),
        artist=artist,
        duration_ms=duration,
        uploaded_ms=uploaded,
        cumulative_popularity=np.cumsum(popularity),
        tracks_of_artist=(first, sizes),
        by_genre=_by_genre(artist[:tracks], popularity),
        planted=tuple(np.arange(begin, end) for begin, end in pairwise(ends)),
    )


def _tracks_per_artist(rng: np.random.Generator, tracks: int) -> Indices:
    sizes = 1 + np.minimum(rng.pareto(1.2, tracks) * 4, 120).astype(np.int64)
    artists = int(np.searchsorted(np.cumsum(sizes), tracks, side="left")) + 1
    sizes = sizes[:artists]
    sizes[-1] -= sizes.sum() - tracks
    return sizes


def _planted(
    rng: np.random.Generator, planting: Planting, artists: int, number: int
) -> tuple[Indices, Indices, Indices]:
    is_known = planting.is_by_known_artist
    first = int(rng.integers(artists // 4, artists // 2)) if is_known else artists + number
    ages = rng.integers(DAY_MS, (planting.oldest_days + 1) * DAY_MS, planting.tracks)
    ages[-1:] = 0
    return (
        first + np.arange(planting.tracks) % planting.artists,
        rng.integers(planting.shortest_ms, planting.longest_ms, planting.tracks),
        planting.first_day * DAY_MS - ages,
    )


def _by_genre(artist: Indices, popularity: npt.NDArray[np.float64]) -> Genres:
    """Sort tracks by the genre of their artist; popular artists are in every genre, because artists have no order."""
    genre = artist % GENRES
    track = np.argsort(genre, kind="stable")
    cumulative = np.cumsum(popularity[track])
    ends = np.searchsorted(genre[track], np.arange(GENRES + 1))
    return Genres(track, cumulative, np.concatenate([[0.0], cumulative])[ends])


def tracks_table(known: Catalogue, rng: np.random.Generator, start_ms: int) -> pl.DataFrame:
    """Build `tracks.csv`. One in five hundred of the platform's own tracks is missing, as exports always lag."""
    count = len(known.artist)
    numbers = pl.Series("number", np.arange(count))
    is_exported = rng.random(count) >= np.where(np.arange(count) < known.organic_tracks, 0.002, 0.0)
    first, second = (words.gather(rng.integers(0, len(words), count)) for words in (_FIRST_WORDS, _SECOND_WORDS))
    registrant = (pl.col("number") // 100_000).cast(pl.String).str.zfill(2)
    designation = (pl.col("number") % 100_000).cast(pl.String).str.zfill(5)
    uploaded = pl.from_epoch(pl.Series(known.uploaded_ms + start_ms), time_unit="ms")
    return (
        pl.DataFrame({"first": first, "second": second, "number": numbers})
        .select(
            known.track_id.alias("track_id"),
            identifiers("a", known.artist).alias("artist_id"),
            pl.concat_str("first", pl.lit(" "), "second").alias("title"),
            pl.format("QZS{}26{}", registrant, designation).alias("isrc"),
            pl.Series("duration_ms", known.duration_ms),
            uploaded.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("uploaded_at"),
        )
        .filter(pl.Series(is_exported))
    )


def rights_table(known: Catalogue, rng: np.random.Generator, start: date, days: int) -> pl.DataFrame:
    """Build `rights.csv`: one to three payees a track, some shares sold during the simulated days, two tracks off 100 %.

    These two, with 95 % and 110 %, are popular, so that there is money to put in escrow.
    """
    count = len(known.artist)
    wrong_by_track = _wrongly_shared(known)
    splits = draw(rng, np.array([0.7, 0.2, 0.1]), count)
    splits[list(wrong_by_track)] = _TWO_PAYEES
    rows = pl.DataFrame(
        {
            "track_id": known.track_id,
            "artist": known.artist,
            "split": splits,
            "label": rng.integers(0, max(2, count // 100), count),
        }
    ).with_columns(
        uploaded_on=pl.Series(known.uploaded_ms // DAY_MS).cast(pl.Int32),
        is_sold=pl.Series(chance(rng, 0.004, count)),
    )
    shares = _shares(rows, {known.track_id[track]: wrong for track, wrong in wrong_by_track.items()})
    first_day = (start - date(1970, 1, 1)).days
    return _sold_on(shares.with_columns(pl.col("uploaded_on") + first_day), first_day + max(1, days // 2))


def agreements_table(rights: pl.DataFrame, rng: np.random.Generator, start: date) -> pl.DataFrame:
    """Build `agreements.csv`: about a third of the payees user-centric, some explicitly pro-rata, and most without an agreement.

    Agreements were made in the two years before the first day; one in twenty begins in the month after it.
    """
    payees = rights["payee_id"].unique().sort()
    count = len(payees)
    first_day = (start - date(1970, 1, 1)).days
    signed = first_day - rng.integers(31, 730, count)
    new = first_day + rng.integers(1, 28, count)
    valid_from = pl.Series(np.where(chance(rng, 0.05, count), new, signed)).cast(pl.Int32).cast(pl.Date)
    rule = pl.Series(draw(rng, np.array([0.55, 0.1, 0.35]), count)).replace_strict(
        [0, 1, 2], [None, "pro_rata", "user_centric"], return_dtype=pl.String
    )
    return pl.DataFrame({"payee_id": payees, "rule": rule, "valid_from": valid_from}).drop_nulls("rule")


def _wrongly_shared(known: Catalogue) -> dict[int, int]:
    popularity = np.diff(known.cumulative_popularity, prepend=0.0)
    popular = np.argsort(-popularity, kind="stable")
    return {int(popular[3]): -50_000, int(popular[8]): 100_000}


def _shares(rows: pl.DataFrame, wrong_by_ppm: dict[str, int]) -> pl.DataFrame:
    artist = pl.concat_str(pl.lit("payee-artist-"), "artist")
    label = pl.concat_str(pl.lit("payee-label-"), "label")
    writer = pl.concat_str(pl.lit("payee-writer-"), pl.col("artist") // 3)
    wrong = pl.col("track_id").replace_strict(wrong_by_ppm, default=0, return_dtype=pl.Int64)
    whole, two, three = (pl.col("split") == split for split in range(3))
    first = pl.when(whole).then(_WHOLE_PPM).when(two).then(600_000).otherwise(333_334) + wrong
    return pl.concat(
        [
            rows.with_columns(payee_id=artist, share_ppm=first),
            rows.filter(~whole).with_columns(
                payee_id=label, share_ppm=pl.when(two).then(400_000).otherwise(333_333).cast(pl.Int64)
            ),
            rows.filter(three).with_columns(payee_id=writer, share_ppm=pl.lit(333_333, pl.Int64)),
        ]
    ).sort("track_id", "payee_id")


def _sold_on(shares: pl.DataFrame, sale: int) -> pl.DataFrame:
    sold = pl.col("is_sold") & (pl.col("uploaded_on") < sale)
    kept = shares.with_columns(valid_from="uploaded_on", valid_to=pl.when(sold).then(pl.lit(sale - 1)).cast(pl.Int32))
    bought = shares.filter(sold).with_columns(
        payee_id=pl.concat_str("payee_id", pl.lit("-heirs")),
        valid_from=pl.lit(sale, pl.Int32),
        valid_to=pl.lit(None, pl.Int32),
    )
    days = [pl.col(name).cast(pl.Date) for name in ("valid_from", "valid_to")]
    return pl.concat([kept, bought]).sort("track_id", "payee_id").select("track_id", "payee_id", "share_ppm", *days)
