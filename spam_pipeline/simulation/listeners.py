"""Listeners: accounts with a home, devices, favourites and very unequal activity, and the revenue of their subscriptions.

Their plays of a day are in `organic`; attackers are in `attacks`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from spam_pipeline.simulation import geography, user_agents
from spam_pipeline.simulation.catalogue import GENRES, Catalogue
from spam_pipeline.simulation.geography import COUNTRIES, DAY_MS
from spam_pipeline.simulation.identifiers import identifiers
from spam_pipeline.simulation.randomness import Indices, chance, draw, draw_cumulative

DEVICES: Final = 3
FAVOURITES: Final = 8
_FAITHFUL: Final = 0.7
"""The share of plays within the listener's own genre: audiences of related artists overlap, without anybody cheating."""


@dataclass(frozen=True)
class Listeners:
    """Accounts by position. Devices and homes are positions `account * DEVICES + slot` and `home` in their own tables."""

    user_id: pl.Series
    country: Indices
    is_premium: npt.NDArray[np.bool_]
    created_ms: Indices
    cumulative_activity: npt.NDArray[np.float64]
    favourites: Indices
    genre: Indices
    home: Indices
    home_ip: pl.Series
    mobile_ip: pl.Series
    mobile_per_country: int
    device_id: pl.Series
    device_client: Indices
    device_user_agent: pl.Series

    def active(self, rng: np.random.Generator, count: int) -> Indices:
        """Draw `count` accounts in proportion to their activity, some of them several times."""
        return draw_cumulative(rng, self.cumulative_activity, count)

    def at_home(self, account: Indices, source: str) -> pl.DataFrame:
        """Build identities of these accounts, on their first device at home, and `time_zone`: the position of their country."""
        device = account * DEVICES
        return pl.DataFrame(
            {
                "user_id": self.user_id.gather(account),
                "device_id": self.device_id.gather(device),
                "ip": self.home_ip.gather(self.home[account]),
                "country": geography.CODES.gather(self.country[account]),
                "user_agent": self.device_user_agent.gather(device),
                "client": user_agents.CLIENTS.gather(self.device_client[device]),
                "source": pl.repeat(source, len(account), eager=True),
                "time_zone": self.country[account],
            }
        )

    def on_every_device(self, account: Indices, source: str) -> pl.DataFrame:
        """Build identities of these accounts at home as `at_home` does, one for each of their devices."""
        device = (account[:, None] * DEVICES + np.arange(DEVICES)).ravel()
        return self.at_home(np.repeat(account, DEVICES), source).with_columns(
            self.device_id.gather(device).alias("device_id"),
            self.device_user_agent.gather(device).alias("user_agent"),
            user_agents.CLIENTS.gather(self.device_client[device]).alias("client"),
        )


def listeners(rng: np.random.Generator, accounts: int, known: Catalogue) -> Listeners:
    """Generate a population whose activity follows a power law, with 1.6 accounts per home on average."""
    country = geography.countries(rng, accounts)
    homes = max(1, int(accounts / 1.6))
    by_country = np.argsort(country, kind="stable")
    home = np.empty(accounts, dtype=np.int64)
    home[by_country] = np.sort(rng.integers(0, homes, accounts))
    home_country = np.zeros(homes, dtype=np.int64)
    home_country[home] = country
    mobile_per_country = max(4, accounts // 600)
    client = draw(rng, np.array([0.28, 0.37, 0.35]), accounts * DEVICES)
    genre = rng.integers(0, GENRES, accounts)
    return Listeners(
        user_id=identifiers("u", np.arange(accounts)),
        country=country,
        is_premium=chance(rng, 0.38, accounts),
        created_ms=-(rng.beta(0.9, 2.2, accounts) * 3600 * DAY_MS).astype(np.int64) - DAY_MS,
        cumulative_activity=np.cumsum(np.minimum(rng.pareto(1.25, accounts) + 0.05, 25.0)),
        favourites=tasteful(rng, known, np.repeat(genre, FAVOURITES)),
        genre=genre,
        home=home,
        home_ip=geography.addresses(rng, home_country, ipv6_share=0.12),
        mobile_ip=geography.addresses(rng, np.repeat(np.arange(len(COUNTRIES)), mobile_per_country)),
        mobile_per_country=mobile_per_country,
        device_id=identifiers("d", np.arange(accounts * DEVICES)),
        device_client=client,
        device_user_agent=user_agents.user_agents(rng, client),
    )


def tasteful(rng: np.random.Generator, known: Catalogue, genre: Indices) -> Indices:
    """Draw a track for each listener of these genres: mostly of the genre, sometimes of what everybody hears."""
    of_genre, of_all = known.by_genre.popular(rng, genre), known.popular(rng, len(genre))
    return np.where(chance(rng, _FAITHFUL, len(genre)), of_genre, of_all)


def accounts_table(people: Listeners, rng: np.random.Generator, start_ms: int) -> pl.DataFrame:
    """Build `accounts.csv` of the organic listeners. One in five hundred is missing, because the export lags."""
    created = pl.from_epoch(pl.Series("created_on", people.created_ms + start_ms), time_unit="ms").cast(pl.Date)
    table = pl.DataFrame(
        {
            "user_id": people.user_id,
            "country": geography.CODES.gather(people.country),
            "tier": pl.Series(people.is_premium).cast(pl.Int8).cast(pl.String).replace({"1": "premium", "0": "free"}),
            "created_on": created,
        }
    )
    return table.filter(pl.Series(~chance(rng, 0.002, len(people.country))))


def opened_accounts_table(cast: pl.DataFrame, start_ms: int) -> pl.DataFrame:
    """Build `accounts.csv` of the accounts that a campaign opened: identities without a tier are of accounts that were there."""
    created = pl.from_epoch(pl.col("created_ms") + start_ms, time_unit="ms").cast(pl.Date)
    opened = cast.drop_nulls("tier").select("user_id", "country", "tier", created.alias("created_on"))
    return opened.unique("user_id", keep="first", maintain_order=True)


def revenue_table(accounts: pl.DataFrame, months: list[str]) -> pl.DataFrame:
    """Build `revenue.csv`: the revenue of each country and tier in a month, after tax, in minor units."""
    paid = pl.DataFrame(
        [
            (country.code, tier, country.currency, income)
            for country in COUNTRIES
            for tier, income in (("free", country.free_income_minor), ("premium", country.premium_income_minor))
        ],
        schema=["country", "tier", "currency", "income"],
        orient="row",
    )
    counted = accounts.group_by("country", "tier").len("accounts")
    return (
        pl.DataFrame({"month": months})
        .join(paid, how="cross")
        .join(counted, on=["country", "tier"], how="left")
        .with_columns(net_revenue_minor=pl.col("accounts").fill_null(0).cast(pl.Int64) * pl.col("income"))
        .sort("month", "country", "tier")
        .select("month", "country", "tier", "currency", "net_revenue_minor")
    )
