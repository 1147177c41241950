"""Facts: reference data and user-agent claims about the accounts, tracks and user agents with a play on a day.

Only the day's entities are in it, so reference files that grow every day leave other days, and everything computed from their
facts, fresh. Behaviour is in `signals`; nothing is classified here.
"""

import polars as pl
import polars_hash as plh

from spam_pipeline.protocol import column_types
from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK, USER_AGENT, EntityFacts
from spam_pipeline.trust_and_safety.user_agents import described

MOST_USER_AGENTS = 100_000
"""The most user agents of a day that are parsed, by plays. Ordinary days have fewer; a client that sends a new one with every
play must not take hours."""


def facts_of_day(plays: pl.LazyFrame, tracks: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    """Look up each account, track and user agent with a play among `plays`, as `EntityFacts`.

    Accounts and tracks that are unknown have no row, nor has a user agent beyond the `MOST_USER_AGENTS` most played ones. The
    order of the inputs does not matter.
    """
    kinds = {
        ACCOUNT: _account_facts(plays, accounts),
        TRACK: _track_facts(plays, tracks),
        USER_AGENT: _user_agent_facts(plays),
    }
    columns = pl.Schema(column_types(EntityFacts))
    rows = [facts.with_columns(entity_kind=pl.lit(kind)) for kind, facts in kinds.items()]
    return pl.concat(rows, how="diagonal").select(*columns).cast(columns).sort("entity_kind", "entity_key")


def _account_facts(plays: pl.LazyFrame, accounts: pl.LazyFrame) -> pl.LazyFrame:
    played = plays.select("user_key").unique()
    return accounts.join(played, on="user_key", how="semi").select(
        "country", "tier", entity_key="user_key", since="created_on"
    )


def _track_facts(plays: pl.LazyFrame, tracks: pl.LazyFrame) -> pl.LazyFrame:
    played = plays.select("track_key").unique()
    return tracks.join(played, on="track_key", how="semi").select(
        "duration_ms",
        entity_key="track_key",
        since="uploaded_on",
        artist_key=plh.col("artist_id").nchash.xxh3_64(),
    )


def _user_agent_facts(plays: pl.LazyFrame) -> pl.LazyFrame:
    distinct = most_played_user_agents(plays, MOST_USER_AGENTS)
    return distinct.select(entity_key="user_agent_key").hstack(described(distinct["user_agent"])).lazy()


def most_played_user_agents(plays: pl.LazyFrame, at_most: int) -> pl.DataFrame:
    """Return each distinct `user_agent_key` with its `user_agent`; of more than `at_most` those with the most plays.

    Equal keys have equal user agents; the minimum is taken so that the result is deterministic.
    """
    counted = (
        plays.filter(pl.col("user_agent_key").is_not_null())
        .group_by("user_agent_key")
        .agg(pl.col("user_agent").min(), plays=pl.len())
    )
    return counted.top_k(at_most, by=["plays", "user_agent_key"]).drop("plays").collect(engine="streaming")
