from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from spam_pipeline.ingestion.contracts import Accounts, Tracks
from spam_pipeline.protocol import code_version_of, column_types
from spam_pipeline.trust_and_safety.assets import entity_facts
from spam_pipeline.trust_and_safety.contracts import ACCOUNT, TRACK, USER_AGENT, EntityFacts
from spam_pipeline.trust_and_safety.facts import facts_of_day, most_played_user_agents
from spam_pipeline_tests.contract_helpers import (
    as_declared,
    findings_about,
    needless_columns,
    numbers_of,
    with_columns_declared,
)
from spam_pipeline_tests.trust_and_safety.play_generator import moment, plays_of

Row = dict[str, Any]

APPS = {
    1: "Music/9.4.1 (iPhone17,1; iOS 26.1; Scale/3.00)",
    2: "Music/9.1.2 (Linux; Android 12; 2312DRA50G)",
    3: "curl/8.11.0",
}

some_keys = st.lists(st.integers(1, 6), unique=True)
some_plays = st.lists(
    st.tuples(st.none() | st.integers(1, 3), st.integers(1, 3), st.none() | st.integers(1, 3)), max_size=12
)


def plays(*played: tuple[int | None, int, int | None]) -> pl.LazyFrame:
    """Plays from account, track and user agent."""
    rows: list[Row] = [
        {"occurred_at": moment(0), "user_key": user, "track_key": track, "user_agent_key": agent}
        | {"user_agent": None if agent is None else APPS[agent]}
        for user, track, agent in played
    ]
    return plays_of(rows)


def accounts(*keys: int) -> pl.LazyFrame:
    rows = [{"user_key": key, "country": "SE", "tier": "premium", "created_on": date(2025, 1, key)} for key in keys]
    return pl.LazyFrame(rows, schema=pl.Schema(column_types(Accounts)))


def tracks(*keys: int) -> pl.LazyFrame:
    rows = [
        {
            "track_id": f"t{key}",
            "track_key": key,
            "artist_id": f"a{key // 2}",
            "title": "Song",
            "duration_ms": key * 1_000,
            "uploaded_on": date(2025, 2, key),
        }
        for key in keys
    ]
    return pl.LazyFrame(rows, schema=pl.Schema(column_types(Tracks)))


def known(facts: pl.LazyFrame) -> list[Row]:
    """The facts, without the columns that are null."""
    return [{name: value for name, value in row.items() if value is not None} for row in facts.collect().to_dicts()]


def test_each_entity_with_a_play_has_the_facts_of_its_kind() -> None:
    account, track, agent = known(facts_of_day(plays((1, 2, 1), (1, 2, 1)), tracks(2), accounts(1)))
    artist = track.pop("artist_key")
    named = {"entity_kind": ACCOUNT, "entity_key": 1}
    assert account == named | {"since": date(2025, 1, 1), "country": "SE", "tier": "premium"}
    assert track == {"entity_kind": TRACK, "entity_key": 2, "since": date(2025, 2, 2), "duration_ms": 2_000}
    assert agent == {"entity_kind": USER_AGENT, "entity_key": 1, "is_automated": False, "platform": "iOS"}
    assert 0 <= artist < 2**64


def test_tracks_of_one_artist_share_its_key_and_others_do_not() -> None:
    facts = facts_of_day(plays((None, 2, None), (None, 3, None), (None, 4, None)), tracks(2, 3, 4), accounts())
    first, second, third = facts.collect()["artist_key"]
    assert first == second != third


def test_what_the_reference_does_not_know_has_no_row() -> None:
    facts = facts_of_day(plays((1, 1, 3), (None, 2, None)), Tracks.empty(), Accounts.empty())
    assert known(facts) == [{"entity_kind": USER_AGENT, "entity_key": 3, "is_automated": True, "platform": "other"}]


def test_a_day_of_which_nothing_is_known_has_an_empty_frame_that_keeps_the_contract() -> None:
    facts = facts_of_day(plays((1, 1, None)), Tracks.empty(), Accounts.empty())
    assert_frame_equal(facts.collect(), EntityFacts.empty().collect())
    assert findings_about(EntityFacts, facts) == []


def test_of_too_many_user_agents_the_most_played_ones_are_looked_at() -> None:
    played = plays((1, 1, 2), (2, 1, 2), (1, 1, 1), (1, 1, 3), (2, 2, 3), (1, 2, None))
    assert sorted(most_played_user_agents(played, 2).rows()) == [(2, APPS[2]), (3, APPS[3])]


def test_the_fingerprint_counts_what_is_known_of_each_kind() -> None:
    facts = facts_of_day(plays((1, 1, 1), (2, 2, 2), (3, 2, 3)), tracks(1, 2), accounts(1, 2))
    counted = numbers_of(EntityFacts, facts)
    del counted["effective_platforms"]
    expected = {"accounts": 2, "tracks": 2, "user_agents": 3, "automated_user_agents": 1}
    assert counted == expected | {"platforms": 3}


@settings(max_examples=40)
@given(some_plays, some_keys, some_keys)
def test_facts_of_a_day_know_nothing_of_entities_without_a_play(
    played: list[tuple[int | None, int, int | None]], known_tracks: list[int], known_accounts: list[int]
) -> None:
    day = plays(*played)
    listeners = {user for user in known_accounts if user in {listener for listener, _, _ in played}}
    heard = {track for _, track, _ in played} & set(known_tracks)
    alone = facts_of_day(day, tracks(*heard), accounts(*listeners)).collect()
    among_others = facts_of_day(day, tracks(*known_tracks), accounts(*known_accounts)).collect()
    assert_frame_equal(among_others, alone, check_exact=True)
    assert findings_about(EntityFacts, among_others.lazy()) == []
    assert among_others.height == len(listeners) + len(heard) + len({agent for _, _, agent in played} - {None})


@settings(max_examples=40)
@given(some_plays, st.permutations(range(1, 5)), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(
    played: list[tuple[int | None, int, int | None]], keys: list[int], random: Any
) -> None:
    shuffled = random.sample(played, len(played))
    facts = facts_of_day(plays(*played), tracks(1, 2, 3, 4), accounts(1, 2, 3, 4))
    again = facts_of_day(plays(*shuffled), tracks(*keys), accounts(*keys))
    assert_frame_equal(again.collect(), facts.collect(), check_exact=True)


def test_the_stage_reads_the_columns_that_it_declares_and_no_others() -> None:
    inputs = {"plays": plays((1, 1, 1)), "tracks": tracks(1), "accounts": accounts(1)}
    assert with_columns_declared(entity_facts) == inputs.keys()
    given_columns = entity_facts(**as_declared(entity_facts, inputs))
    assert_frame_equal(given_columns.collect(), entity_facts(**inputs).collect(), check_exact=True)
    assert needless_columns(entity_facts, inputs) == []


def test_facts_are_stale_when_the_rules_about_user_agents_change() -> None:
    version = code_version_of(entity_facts.function, libraries=entity_facts.libraries)
    assert "spam_pipeline.trust_and_safety.user_agents.described" in version.definitions
    assert {"crawler-user-agents", "ua-parser", "ua-parser-builtins"} <= version.libraries.keys()
