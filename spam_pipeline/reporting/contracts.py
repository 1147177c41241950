"""The contracts of reporting: counts of plays with and without spam, and what is delivered to other stores.

Without spam means at reporting's tolerance (`REPORTING_TOLERANCE`), which keeps every play that is not clearly spam. Counts
of plays add up over days; counts of listeners do not. Counting is in the modules of the stages.
"""

import dataframely as dy
import polars as pl
import polars_hash as plh

from spam_pipeline.ingestion.contracts import TOLERATED_LOSS
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
"""The country of plays of unknown country: a code that ISO 3166-1 leaves to its users."""

WITH_SPAM, WITHOUT_SPAM = "with_spam", "without_spam"
"""The two variants of a ranking."""

NO_TYPE = ""
"""The type of spam that fits no attack type; a key holds no null."""

USER, DEVICE = "user", "device"
"""The kinds of listeners: a user, or the device of logged-out plays."""

TOP_COUNTRIES = 10
"""The most countries in a ranking."""


class DailyPlays(Contract):
    """Plays, listeners and playing time (`listened_ms`): one row per day and country, ordered by both; `ZZ` is unknown.

    A listener is a user, or the device of a logged-out play, and counts once in each country.
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
        """Counts without spam are at most the raw counts."""
        return _never_more("plays") & _never_more("listeners") & _never_more("listened_ms")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume with and without spam, the spread over countries, which an attack from few places narrows, and mean durations.

        The last is one number for each country: no campaign changes most of them, and a wrong unit changes all.
        """
        plays, country = pl.col("plays"), pl.col("country")
        return {
            "plays": Total(plays, drift=Drift(), tolerated_loss=TOLERATED_LOSS),
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
    """Top countries by plays of a day, once `with_spam` and once `without_spam`; rank 1 has the most.

    Equal counts rank by country code. The unknown country and countries without a play are not ranked. Ordered by key.
    """

    event_day = dy.Date(primary_key=True)
    measure = dy.String(primary_key=True, regex=f"^({WITH_SPAM}|{WITHOUT_SPAM})$")
    rank = dy.Int64(primary_key=True, min=1, max=TOP_COUNTRIES)
    country = dy.String()
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume of both rankings, their spread, and countries that rank only because of spam.

        No drift is judged: a country that leaves a ranking takes all its plays along. On the last ranks that happens on quiet
        days, and once warned of one in 98 of them.
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
    """Plays by spam probability: one row per day, country and whole percent with a play, ordered by all three.

    Probabilities are rounded down to whole percents, so the plays below such a tolerance are those of the smaller percents.
    `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    country = dy.String(primary_key=True)
    spam_percent = dy.Int64(primary_key=True, min=0, max=100)
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and the share that reports drop as spam. The distribution of probabilities is audited where they are made."""
        plays = pl.col("plays")
        dropped = plays * (pl.col("spam_percent") >= round(REPORTING_TOLERANCE * 100))
        return {
            "plays": Total(plays, drift=Drift(), tolerated_loss=TOLERATED_LOSS),
            "spam_share": Share(dropped, whole=plays),
        }


class SpamByType(Contract):
    """Plays dropped by reports: one row per day, country and attack type with a play, ordered by all three.

    The type is the empty string where none fits, and `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    country = dy.String(primary_key=True)
    attack_type = dy.String(primary_key=True)
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and its spread over types and countries. Attacks come and go, which is not drift."""
        plays, country, attack_type = pl.col("plays"), pl.col("country"), pl.col("attack_type")
        return {
            "spam_plays": Total(plays),
            "spam_of_no_type": Total(plays * (attack_type == NO_TYPE)),
            "attack_types": Spread(attack_type, weight=plays, drift=None),
            "countries_of_spam": Spread(country, weight=plays, drift=None),
        }


class IncidentPlays(Contract):
    """Plays of incidents: one row per day, incident, country and track with a play, ordered by all four.

    A play belongs to one incident, the most decided of those that match it. `ZZ` is the unknown country.
    """

    event_day = dy.Date(primary_key=True)
    incident_id = dy.String(primary_key=True)
    country = dy.String(primary_key=True)
    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    plays_without_spam = dy.Int64(min=0)

    @dy.rule()
    def without_spam_is_never_more(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """Counts without spam are at most the raw counts."""
        return _never_more("plays")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume with and without spam, and its spread over incidents. These come and go, which is not drift."""
        plays = pl.col("plays")
        return {
            "incident_plays": Total(plays),
            "incident_plays_without_spam": Total(pl.col("plays_without_spam")),
            "incidents": Spread(pl.col("incident_id"), weight=plays, drift=None),
        }


class IncidentListeners(Contract):
    """Plays of incidents by hour and listener: one row per day, incident, hour in UTC and listener with a play, ordered by all.

    A listener is a user, or the device of a logged-out play, each by its keyed hash.
    """

    event_day = dy.Date(primary_key=True)
    incident_id = dy.String(primary_key=True)
    hour = dy.Int64(primary_key=True, min=0, max=23)
    listener_kind = dy.String(primary_key=True, regex=f"^({USER}|{DEVICE})$")
    listener_key = dy.UInt64(primary_key=True)
    plays = dy.Int64(min=1)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume, and its spread over incidents. These come and go, which is not drift."""
        plays = pl.col("plays")
        return {
            "incident_plays": Total(plays),
            "incidents": Spread(pl.col("incident_id"), weight=plays, drift=None),
            "hours": Spread(pl.col("hour").cast(pl.String), weight=plays, drift=None),
        }


class TrackPlayCounts(Contract):
    """Plays per track: one row per day and track that was played, ordered by both."""

    event_day = dy.Date(primary_key=True)
    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=1)
    plays_without_spam = dy.Int64(min=0)

    @dy.rule()
    def without_spam_is_never_more(cls) -> pl.Expr:  # noqa: N805 - dataframely binds rules to the class
        """Counts without spam are at most the raw counts."""
        return _never_more("plays")

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Volume with and without spam, and the spread over tracks: an attack on few tracks narrows it."""
        return {
            "plays": Total(pl.col("plays"), drift=Drift(), tolerated_loss=TOLERATED_LOSS),
            "plays_without_spam": Total(pl.col("plays_without_spam")),
            "spam_share": _spam_share(),
            "tracks": _tracks_by("plays", Drift()),
            "tracks_without_spam": _tracks_by("plays_without_spam", Drift()),
        }


class WidgetCounts(Contract):
    """Play counts for widgets: all plays of a track so far, without spam; one row per track ever played, ordered by track."""

    track_id = dy.String(primary_key=True)
    plays = dy.Int64(min=0)

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Total of all widgets, and its spread over tracks. It grows every day, which is not drift."""
        return {
            "widgets": Count(),
            "plays": Total(pl.col("plays")),
            "tracks_with_spam_only": Count(pl.col("plays") == 0),
            "tracks": _tracks_by("plays", None),
        }


class Reports(Contract):
    """Report pages of a month: one row for the month, whose `about` is empty, and one for each of its incidents; ordered by key.

    `page` is self-contained HTML with placeholders for its delivery. `figures` are its headline numbers as text. `preview` is
    a Markdown summary of the month; that of an incident is empty.
    """

    month = dy.String(primary_key=True)
    about = dy.String(primary_key=True)
    page = dy.String()
    figures = dy.List(dy.Struct({"name": dy.String(), "value": dy.String()}))
    preview = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of pages, and a summary of the month for people who look at the version."""
        return {
            "incident_pages": Count(pl.col("about") != ""),
            "characters": Total(pl.col("page").str.len_chars()),
            "figures": Records(_figures_of_month),
            "preview": Records(_preview_of_month),
        }


class ReportPages(Contract):
    """Paths of the pages of `reports` below the folder of reports; ordered by key."""

    month = dy.String(primary_key=True)
    about = dy.String(primary_key=True)
    place = dy.String()

    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        """Number of pages."""
        return {"months": Count(pl.col("about") == ""), "pages": Count()}


class Catalogue(Contract):
    """Catalogue of all published frames: one row per file of every part, ordered by all columns.

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
        """Number of stages, partitions and files that are published."""
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
    """The share of plays that reporting's tolerance drops."""
    plays = pl.col("plays")
    return Share(plays - pl.col("plays_without_spam"), whole=plays)


def _tracks_by(plays: str, drift: Drift | None) -> Keys:
    """The spread of plays over tracks. Reporting has public ids, whose hash serves here as a keyed one does elsewhere."""
    key = plh.col("track_id").nchash.xxh3_64()
    return Keys(key, name=pl.col("track_id"), weight=pl.col(plays), drift=drift)
