"""Releases, attacks of the same height, honest oddities and quiet days, over seeds and sizes; and what a finding says.

`benchmarks.release_or_attack` does the same over more seeds and prints the table.
"""

import numpy as np
import polars as pl
import pytest

from spam_pipeline.protocol import Finding, Severity
from spam_pipeline.protocol.fingerprint import Recorded, fingerprint_from_json, fingerprint_to_json
from spam_pipeline.protocol.foundation.finding import finding_from_json, finding_to_json
from spam_pipeline.simulation.geography import DAY_MS, HOUR_MS
from spam_pipeline.simulation.listening import as_plays
from spam_pipeline.simulation.organic import visits
from spam_pipeline.simulation.randomness import generator
from spam_pipeline.trust_and_safety.spikes import spike_findings
from spam_pipeline_tests.trust_and_safety.spikes.spike_days import (
    AT_ONE_TRACK,
    ODDITIES,
    RELEASE,
    START_MS,
    TODAY,
    Platform,
    classified,
    fingerprint_of,
    history,
    judged_days,
    today,
    worst,
)

SEEDS_BY_SIZE = {1000: (101, 102, 103, 104), 10_000: (101, 102, 103), 100_000: (101,)}
HEIGHTS = (0.05, 0.1)
PLATFORMS = [
    pytest.param(Platform(seed, size, height), id=f"{size}-{seed}-{height}")
    for size, seeds in SEEDS_BY_SIZE.items()
    for seed in seeds
    for height in HEIGHTS
]
SMALL = Platform(101, 1000, 0.1)
MIDDLE = Platform(101, 10_000, 0.08)


def busiest_track(plays: pl.DataFrame) -> str:
    name: str = plays["track_id"].value_counts().sort("count", "track_id")["track_id"][-1]
    return name


def found(platform: Platform, *happened: pl.DataFrame) -> list[Finding]:
    return spike_findings(today(platform, *happened), history(platform))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_viral_release_is_noted_and_nothing_else_is_said(platform: Platform) -> None:
    release = platform.acted(RELEASE, TODAY)
    findings = found(platform, release)
    assert f"track {busiest_track(release)}" in {finding.about for finding in findings}
    assert worst(findings) == "note"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("attack", AT_ONE_TRACK)
def test_an_attack_as_high_as_a_release_is_warned_of(platform: Platform, attack: str) -> None:
    plays = platform.acted(attack, TODAY)
    warned = {finding.about for finding in found(platform, plays) if finding.severity is Severity.WARN}
    assert warned == {f"track {busiest_track(plays)}"}


@pytest.mark.parametrize("attack", ["account_takeover", "device_farm", "embedded_autoplay"])
@pytest.mark.parametrize("platform", [SMALL, MIDDLE], ids=["1000", "10000"])
def test_an_attack_that_spreads_over_a_few_tracks_is_warned_of(platform: Platform, attack: str) -> None:
    assert worst(found(platform, platform.acted(attack, TODAY, tracks=None))) == "warn"


@pytest.mark.parametrize("attack", AT_ONE_TRACK)
def test_an_attack_that_begins_at_noon_is_warned_of(attack: str) -> None:
    assert worst(found(MIDDLE, MIDDLE.acted(attack, TODAY, begins_ms=12 * HOUR_MS))) == "warn"


def test_a_million_plays_hide_no_attack_and_condemn_no_release() -> None:
    platform = Platform(101, 1_000_000, 0.06)
    past = history(platform, days=3)
    organic = platform.organic(TODAY)
    verdicts = {
        name: worst(spike_findings(fingerprint_of(classified([organic, platform.acted(name, TODAY)])), past))
        for name in (RELEASE, *AT_ONE_TRACK)
    }
    assert verdicts == {RELEASE: "note", **dict.fromkeys(AT_ONE_TRACK, "warn")}


@pytest.mark.parametrize(
    ("size", "seeds", "days"), [(1000, (201, 202, 203), 14), (10_000, (201,), 14), (100_000, (201,), 5)]
)
@pytest.mark.parametrize("present", [(), ODDITIES], ids=["organic", "with oddities"])
def test_quiet_days_raise_no_alarm(size: int, seeds: tuple[int, ...], days: int, present: tuple[str, ...]) -> None:
    judged = [findings for seed in seeds for findings in judged_days(Platform(seed, size, 0.05), days, present)]
    assert sum(worst(findings) == "warn" for findings in judged) == 0


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_honest_behaviour_that_looks_like_an_attack_is_at_most_noted(seed: int, oddity: str) -> None:
    platform = Platform(seed, 1000, 0.1)
    assert worst(found(platform, platform.acted(oddity, TODAY))) in {"nothing", "note"}


def test_one_person_who_loops_a_song_is_noted_as_such() -> None:
    (finding,) = found(SMALL, SMALL.acted("looping_fan", TODAY))
    assert "by a handful of listeners" in finding.seen


def test_a_release_in_one_country_is_noted() -> None:
    release = Platform(101, 10_000, 0.4).acted(RELEASE, TODAY).filter(pl.col("country") == "US")
    assert worst(found(Platform(101, 10_000, 0.4), release)) == "note"


def test_a_release_that_everybody_hears_in_one_playlist_is_noted() -> None:
    release = MIDDLE.acted(RELEASE, TODAY).with_columns(source=pl.lit("playlist"))
    assert worst(found(MIDDLE, release)) == "note"


def test_a_release_that_everybody_hears_in_one_widget_is_noted_as_undecided() -> None:
    track = np.full(800, MIDDLE.world.known.planted[list(MIDDLE.campaigns).index(RELEASE)][-1])
    rng = generator(1, "widget")
    heard = visits(rng, MIDDLE.world.people, track, MIDDLE.world.known, START_MS + TODAY * DAY_MS)
    (finding,) = found(MIDDLE, as_plays(heard, MIDDLE.world.known))
    assert finding.severity is Severity.NOTE
    assert "which may be either" in finding.seen


def declared(
    platform: Platform, name: str, *, status: str | None = None, play_class: str = "legitimate"
) -> list[Finding]:
    """What is found when the plays of a scenario's track carry a status or a class."""
    plays = platform.acted(name, TODAY)
    is_it = pl.col("track_id") == busiest_track(plays)
    frame = classified([platform.organic(TODAY), plays]).with_columns(
        pl.when(is_it).then(pl.lit(status)).alias("incident_status"),
        pl.when(is_it).then(pl.lit(play_class)).otherwise("class").alias("class"),
    )
    return spike_findings(fingerprint_of(frame), history(platform))


def test_a_cleared_release_and_a_confirmed_attack_are_not_news() -> None:
    assert declared(MIDDLE, RELEASE, status="cleared") == []
    assert declared(MIDDLE, "paid_plays", status="confirmed") == []


def test_an_attack_that_the_model_calls_spam_is_not_news() -> None:
    assert declared(MIDDLE, "paid_plays", play_class="spam") == []


def test_a_suspicion_decides_nothing() -> None:
    assert worst(declared(MIDDLE, "paid_plays", status="suspected")) == "warn"


def test_with_fewer_than_three_past_days_nothing_is_said() -> None:
    attacked = today(MIDDLE, MIDDLE.acted("loop_bot", TODAY))
    assert spike_findings(attacked, history(MIDDLE)[:2]) == []
    assert worst(spike_findings(attacked, history(MIDDLE)[:3])) == "warn"


def test_days_that_were_measured_before_there_was_evidence_say_nothing() -> None:
    attacked = today(MIDDLE, MIDDLE.acted("loop_bot", TODAY))
    earlier = [past._replace(fingerprint={"plays": past.fingerprint["plays"]}) for past in history(MIDDLE)]
    assert spike_findings(attacked, earlier) == []
    assert spike_findings({}, history(MIDDLE)) == []


def test_the_order_of_the_history_does_not_matter() -> None:
    attacked = today(MIDDLE, MIDDLE.acted("paid_plays", TODAY))
    assert spike_findings(attacked, history(MIDDLE)) == spike_findings(attacked, history(MIDDLE)[::-1])


def test_one_accepted_day_of_an_attack_does_not_hide_the_next() -> None:
    attacked = today(MIDDLE, MIDDLE.acted("paid_plays", TODAY))
    accepted = history(MIDDLE)[0]._replace(fingerprint=attacked)
    assert worst(spike_findings(attacked, [*history(MIDDLE), accepted])) == "warn"


def test_a_track_that_was_as_popular_before_has_no_spike() -> None:
    popular = today(MIDDLE, MIDDLE.acted(RELEASE, TODAY))
    past = [past._replace(fingerprint=popular) for past in history(MIDDLE)]
    assert spike_findings(popular, past) == []


def test_a_finding_names_who_is_behind_an_attack_and_draws_its_day() -> None:
    plays = MIDDLE.acted("bot_farm", TODAY)
    (finding,) = found(MIDDLE, plays)
    track = busiest_track(plays)
    assert finding.rule == "spike"
    assert finding.about == f"track {track}"
    assert finding.expected.endswith("judging by 8 days")
    assert "which looks like an attack" in finding.seen
    assert finding.size == pytest.approx(0.08 / 1.08, rel=0.05)
    assert finding.evidence is not None
    assert {curve.name for curve in finding.evidence.curves} == {f"track {track}", "other plays"}
    assert [sum(curve.values) for curve in finding.evidence.curves] == pytest.approx([1, 1])
    assert finding.evidence.behind[0] == f"track {track}"
    assert finding.evidence.behind[1].startswith("network ")
    sides = {clue.what: clue.supports for clue in finding.evidence.clues}
    assert sides["effective networks"] == "attack"
    assert sides["plays per listener"] == "attack"


def test_plays_that_are_dealt_out_evenly_speak_for_an_attack_and_a_play_each_for_nothing() -> None:
    what = "variation of plays per listener"
    (ordered,) = found(MIDDLE, MIDDLE.acted("paid_plays", TODAY))
    (embedded,) = found(MIDDLE, MIDDLE.acted("embedded_autoplay", TODAY))
    assert ordered.evidence is not None
    assert embedded.evidence is not None
    assert {clue.what: clue.supports for clue in ordered.evidence.clues}[what] == "attack"
    assert what not in {clue.what for clue in embedded.evidence.clues}


def test_evidence_survives_the_ledger() -> None:
    attacked = today(MIDDLE, MIDDLE.acted("bot_farm", TODAY))
    assert isinstance(attacked["suspects"], Recorded)
    kept = fingerprint_from_json(fingerprint_to_json(attacked))
    findings = spike_findings(attacked, history(MIDDLE))
    assert spike_findings(kept, history(MIDDLE)) == findings
    assert [finding_from_json(finding_to_json(finding)) for finding in findings] == findings
