"""Eight days with the attacks that can be played patiently, at a skill level: every play beside what is known of it and the truth."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from spam_pipeline.simulation import Simulated, simulate
from spam_pipeline.simulation.patience import FORMS
from spam_pipeline_tests.simulation.landing_reader import read_landing

START = date(2026, 1, 1)
DAYS = 8

_OF_EVENTS = (
    *("event_id", "occurred_at", "track_id", "user_id", "device_id", "ip"),
    *("country", "user_agent", "client", "source", "ms_played"),
)


@dataclass(frozen=True)
class SkilledWeek:
    """What was simulated, and its plays. `number` counts tracks: planted ones come after the platform's own."""

    simulated: Simulated
    plays: pl.DataFrame
    own_tracks: int
    incidents: str

    @property
    def organic(self) -> pl.DataFrame:
        """Plays of ordinary listeners."""
        return self.plays.filter(~pl.col("is_spam"))

    @property
    def attacks(self) -> pl.DataFrame:
        """Plays of all attacks, camouflage among them."""
        return self.plays.filter("is_spam")

    def of(self, attack: str) -> pl.DataFrame:
        """All plays of an attack, camouflage among them."""
        return self.plays.filter(pl.col("attack_type") == attack)

    def paid(self, attack: str) -> pl.DataFrame:
        """Plays of the tracks that an attack planted, which nobody else hears."""
        return self.of(attack).filter(pl.col("number") >= self.own_tracks)


@cache
def skilled_week(skill: str, plays_per_day: int = 2_000) -> SkilledWeek:
    """The days at a level, simulated once in a process."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        done = simulate(
            home, start=START, days=DAYS, plays_per_day=plays_per_day, seed=3, scenarios=list(FORMS), skill=skill
        )
        incidents = (home / "landing" / "incidents.csv").read_text()
        return SkilledWeek(done, _known(home), max(400, plays_per_day // 4), incidents)


def _known(home: Path) -> pl.DataFrame:
    events = [{name: event[name] for name in _OF_EVENTS} for event in read_landing(home / "landing").events]
    reference = home / "landing" / "reference"
    truth = pl.read_parquet(home / "truth.parquet").select("event_id", "is_spam", "attack_type")
    accounts = pl.read_csv(reference / "accounts.csv", try_parse_dates=True)
    tracks = pl.read_csv(reference / "tracks.csv")
    today = pl.col("occurred_at").dt.date()
    return (
        pl.DataFrame(events, infer_schema_length=None)
        .unique("event_id", maintain_order=True)
        .join(truth, on="event_id", how="left")
        .join(accounts.select("user_id", "tier", "created_on", home="country"), on="user_id", how="left")
        .join(
            tracks.select(
                "track_id",
                "artist_id",
                "duration_ms",
                number=pl.col("isrc").str.slice(-5).cast(pl.Int64),
                uploaded_on=pl.col("uploaded_at").str.slice(0, 10).str.to_date(),
            ),
            on="track_id",
            how="left",
        )
        .with_columns(
            pl.col("is_spam").fill_null(value=False),
            hour=pl.col("occurred_at").dt.hour(),
            account_age=(today - pl.col("created_on")).dt.total_days(),
            track_age=(today - pl.col("uploaded_on")).dt.total_days(),
        )
    )
