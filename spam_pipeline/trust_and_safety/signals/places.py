"""Signals of addresses and networks. Many people behind one of them is no sign of spam; uniform behaviour is."""

import polars as pl

from spam_pipeline.trust_and_safety.contracts import ADDRESS, NETWORK
from spam_pipeline.trust_and_safety.signals.mixtures import counted, effective_members, joined, mixture, ratio, shares
from spam_pipeline.trust_and_safety.signals.past import PriorActivity


def address_signals(today: pl.LazyFrame, _past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each address with a play on the day."""
    counts = counted(today, ADDRESS, "cut_off", "new_account").collect(engine="streaming")
    return joined(
        counts.select("ip_key", "plays", **shares(ADDRESS, "cut_off", "new_account")),
        mixture(today, by=ADDRESS, of="actor_key").select("ip_key", actors="members"),
    ).with_columns(plays_per_actor=ratio("plays", "actors"))


def network_signals(today: pl.LazyFrame, _past: PriorActivity) -> pl.DataFrame:
    """Compute the signals of each network (/24 or /48) with a play on the day."""
    counts = counted(today, NETWORK, "cut_off", "new_account", "hosting").collect(engine="streaming")
    agents = mixture(today, by=NETWORK, of="user_agent_key")
    return (
        joined(
            counts.select("network_key", "plays", **shares(NETWORK, "cut_off", "new_account", "hosting")),
            mixture(today, by=NETWORK, of="actor_key").select("network_key", actors="members"),
            agents.select("network_key", effective_user_agents=effective_members()),
        )
        .with_columns(actors_per_user_agent=ratio("actors", "effective_user_agents"))
        .drop("effective_user_agents")
    )
