"""What reporting promises: counts of plays in two truths, with spam and without, and what is delivered to other stores.

Without spam means at reporting's tolerance (`REPORTING_TOLERANCE`), which keeps every play that is not clearly spam. Counts
of plays add up over days; counts of listeners do not. How anything is counted does not belong here.
"""

import dataframely as dy
import polars as pl
import polars_hash as plh

from spam_pipeline.protocol import Contract
from spam_pipeline.protocol.fingerprint import (
    MARKDOWN,
    Count,
    Drift,
    Figure,
    Keys,
    Measure,
    Quantiles,
    Records,
    Share,
    Spread,
    Total,
)
from spam_pipeline.trust_and_safety.contracts import REPORTING_TOLERANCE

UNKNOWN_COUNTRY = "ZZ"
"""The country of plays whose country nobody knows: the code that ISO 3166-1 leaves to its users."""

WITH_SPAM, WITHOUT_SPAM = "with_spam", "without_spam"
"""The two truths of a ranking."""

NO_TYPE = ""
"""The type of spam that fits no type of attack; a key holds no null."""

TOP_COUNTRIES = 10
"""How many countries a ranking has at the most."""


class DailyPlays(Contract):
    """One row per day and country, ordered by both; `ZZ` is the unknown country. `listened_ms` is playing time.

    A listener is a user, or the device of somebody who is logged out, and counts once in each country.
    """

    event_day = dy.Date(primary_key=True)
    country = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    plays_without_spam = dy.Int64(min=0)
    listeners = dy.Int64(min=1)
    listeners_without_spam = dy.Int64(min=0)
    listened_ms = dy.Int64(min=0)
    listened_ms_without_spam = dy.Int64(min=0)

    @dy.rule()
    def without_spam_is_never_more(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """What is left without spam is part of what there was."""
        return _never_more("plays") & _never_more("listeners") & _never_more("listened_ms")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume in both truths, the spread over countries, which an attack from few places narrows, and how long plays are.

        The latter is one number for each country: no campaign changes most of them, and a wrong unit changes all.
        """
        plays, country = pl.col("plays"), pl.col("country")
        return {
            "plays": Total(plays),
            "plays_without_spam": Total(pl.col("plays_without_spam")),
            "spam_share": _spam_share(),
            "countries": Spread(country, weight=plays),
            "countries_without_spam": Spread(country, weight=pl.col("plays_without_spam")),
            "unknown_country_share": Share(plays * (country == UNKNOWN_COUNTRY), plays, drift=Drift(refuse_above=0.5)),
            "ms_per_play": Quantiles(pl.col("listened_ms") // plays, drift=Drift(refuse_above=0.5)),
            "listened_ms": Total(pl.col("listened_ms")),
            "listened_ms_without_spam": Total(pl.col("listened_ms_without_spam")),
        }


class TopCountries(Contract):
    """The countries with the most plays of a day, once `with_spam` and once `without_spam`; rank 1 has the most.

    Equal counts rank by country code. The unknown country and countries without a play are in no ranking. Ordered by key.
    """

    event_day = dy.Date(primary_key=True)
    measure = dy.String(primary_key=True, regex=f"^({WITH_SPAM}|{WITHOUT_SPAM})$")
    rank = dy.Int64(primary_key=True, min=1, max=TOP_COUNTRIES)
    country = dy.String()
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume of the ranking in both truths, how it spreads, and countries that rank only because of spam.

        No drift: a country that leaves a ranking takes all its plays along, and on the last ranks that happens on quiet days.
        """
        plays, with_spam = pl.col("plays"), pl.col("measure") == WITH_SPAM
        kept = pl.col("country").filter(~with_spam).n_unique()
        return {
            "plays_of_top_countries": Total(plays * with_spam),
            "plays_of_top_countries_without_spam": Total(plays * ~with_spam),
            "top_countries_without_spam": Spread(pl.col("country"), weight=plays * ~with_spam, drift=None),
            "countries_there_only_with_spam": Figure(pl.col("country").n_unique().cast(pl.Int64) - kept.cast(pl.Int64)),
        }


class PlaysBySpamProbability(Contract):
    """One row per day, country and spam probability in whole percents that has a play, ordered by all three.

    A play stands at the last percent that its probability reaches, so that the plays below a tolerance of whole percents are
    those of the rows below it. `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    country = dy.String(primary_key=True)
    spam_percent = dy.Int64(primary_key=True, min=0, max=100)
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and how much of it reports drop as spam. How probabilities spread is watched where they are made."""
        plays = pl.col("plays")
        dropped = plays * (pl.col("spam_percent") >= round(REPORTING_TOLERANCE * 100))
        return {"plays": Total(plays), "spam_share": Share(dropped, whole=plays)}


class SpamByType(Contract):
    """The plays that reports drop: one row per day, country and type of attack that has one, ordered by all three.

    The type is the empty string where none fits, and `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    country = dy.String(primary_key=True)
    attack_type = dy.String(primary_key=True)
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and how it spreads over types and countries. Attacks come and go, which is no drift."""
        plays, country, attack_type = pl.col("plays"), pl.col("country"), pl.col("attack_type")
        return {
            "spam_plays": Total(plays),
            "spam_of_no_type": Total(plays * (attack_type == NO_TYPE)),
            "attack_types": Spread(attack_type, weight=plays, drift=None),
            "countries_of_spam": Spread(country, weight=plays, drift=None),
        }


class IncidentPlays(Contract):
    """The plays that belong to incidents: one row per day, incident, country and track that has one, ordered by all four.

    A play belongs to one incident, the most decided of those that it fits. `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    incident_id = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    plays_without_spam = dy.Int64(min=0)

    @dy.rule()
    def without_spam_is_never_more(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """What is left without spam is part of what there was."""
        return _never_more("plays")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume in both truths, and how it spreads over incidents. These come and go, which is no drift."""
        plays = pl.col("plays")
        return {
            "incident_plays": Total(plays),
            "incident_plays_without_spam": Total(pl.col("plays_without_spam")),
            "incidents": Spread(pl.col("incident_id"), weight=plays, drift=None),
        }


class TrackPlayCounts(Contract):
    """One row per day and track that was played, ordered by both."""

    event_day = dy.Date(primary_key=True)
    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    plays_without_spam = dy.Int64(min=0)

    @dy.rule()
    def without_spam_is_never_more(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """What is left without spam is part of what there was."""
        return _never_more("plays")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume in both truths, and the spread over tracks: an attack on few tracks narrows it."""
        return {
            "plays": Total(pl.col("plays")),
            "plays_without_spam": Total(pl.col("plays_without_spam")),
            "spam_share": _spam_share(),
            "tracks": _tracks_by("plays", Drift()),
            "tracks_without_spam": _tracks_by("plays_without_spam", Drift()),
        }


class WidgetCounts(Contract):
    """What a widget shows: all plays of a track so far, without spam; one row per track ever played, ordered by track."""

    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """What all widgets show together, and how it spreads over tracks. It grows with every day, which is no drift."""
        return {
            "widgets": Count(),
            "plays": Total(pl.col("plays")),
            "tracks_with_spam_only": Count(pl.col("plays") == 0),
            "tracks": _tracks_by("plays", None),
        }


class Reports(Contract):
    """The pages of a month: one row for the month, whose `about` is empty, and one for each of its incidents; ordered by key.

    `page` is an HTML page that loads nothing; it has places for what its delivery adds. `figures` are its headline numbers,
    written out. `preview` is Markdown and tells the month in short; that of an incident is empty.
    """

    month = dy.String(primary_key=True)
    about = dy.String(primary_key=True)
    page = dy.String()
    figures = dy.List(dy.Struct({"name": dy.String(), "value": dy.String()}))
    preview = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How much there is to read, and the month in short, for people who look at the version."""
        return {
            "incident_pages": Count(pl.col("about") != ""),
            "characters": Total(pl.col("page").str.len_chars()),
            "figures": Records(_figures_of_month),
            "preview": Records(_preview_of_month),
        }


class ReportPages(Contract):
    """Where each page of `reports` is delivered, a path below the folder of reports; ordered by key."""

    month = dy.String(primary_key=True)
    about = dy.String(primary_key=True)
    place = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How many pages there are."""
        return {"months": Count(pl.col("about") == ""), "pages": Count()}


class Catalogue(Contract):
    """Everything that is published in frames: one row per file of every part, ordered by all columns.

    `file` is a path below the store's root and `content` the digest of the part. A part that holds the same file twice has
    two rows, because its rows count twice.
    """

    context = dy.String()
    stage = dy.String()
    partition = dy.String()
    part = dy.String()
    file = dy.String()
    rows = dy.Int64(min=0)
    content = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """How much is published."""
        return {
            "stages": Figure(pl.struct("context", "stage").n_unique()),
            "partitions": Figure(pl.struct("context", "stage", "partition").n_unique()),
            "files": Count(),
            "rows": Total(pl.col("rows")),
        }


def _figures_of_month(reports: pl.LazyFrame) -> pl.LazyFrame:
    return reports.filter(pl.col("about") == "").select("figures").explode("figures").unnest("figures")


def _preview_of_month(reports: pl.LazyFrame) -> pl.LazyFrame:
    return reports.filter(pl.col("about") == "").select(pl.col("preview").alias(MARKDOWN))


def _never_more(count: str) -> pl.Expr:
    return pl.col(f"{count}_without_spam") <= pl.col(count)


def _spam_share() -> Share:
    """The part of all plays that reporting's tolerance drops."""
    plays = pl.col("plays")
    return Share(plays - pl.col("plays_without_spam"), whole=plays)


def _tracks_by(plays: str, drift: Drift | None) -> Keys:
    """How plays spread over tracks. Reporting counts by the public id, whose hash does here what a keyed one does elsewhere."""
    key = plh.col("track_id").nchash.xxh3_64()
    return Keys(key, name=pl.col("track_id"), weight=pl.col(plays), drift=drift)
