"""Stories of exactness: a change recomputes what rests on it, and nothing else. Told on a few plays, so that one can count."""

from pathlib import Path

import pytest

from spam_pipeline_tests.shared_homes import copied
from spam_pipeline_tests.stories.conftest import (
    a_play,
    converge_with,
    edit,
    edited,
    land,
    land_gaps,
    open_pipeline,
    run,
)

FAR_DAY, NEAR_DAY, ATTACKED = "2026-01-05", "2026-01-20", "2026-03-18"
DAYS = (FAR_DAY, NEAR_DAY, ATTACKED, "2026-03-29")
LAST_ARRIVAL = "2026-03-29"
DAILY_REPORTS = {
    *("daily_plays", "top_countries", "plays_by_spam_probability", "spam_by_type", "track_play_counts"),
    "incident_plays",
    "incident_listeners",
}
OVER_WEEKS = {"suspicious_groups", "carried_devices"}
"""Stages of a day that read the four weeks before it."""

DAILY_STAGES = {
    *("plays", "entity_facts", "play_signals", "labelled_examples", "classified_plays", "royalty_usage"),
    *("listening", "suspected_plays", "suspected_incidents"),
    *OVER_WEEKS,
    *DAILY_REPORTS,
}

ATTACK_TYPES = "trust_and_safety/attack_types.py"
SUSPICIOUS, LESS_SUSPICIOUS = (f'Condition("track_short_share", 0.2, {ends})' for ends in (0.5, 1.4))


def land_plays(home: Path, arrival: str, name: str, day: str, count: int, **said: object) -> None:
    """Land one file with some plays of one day, each by a listener of its own; every client has its own tracks."""
    usual = {"source": "search", "client": "web", **said}
    land(
        home,
        arrival,
        name,
        (
            a_play(
                day,
                **{
                    "event_id": f"{name} {number}",
                    "track_id": f"{usual['client']} track {number % 5}",
                    "user_id": f"listener {name} {number}",
                    "device_id": f"device {name} {number}",
                    "ip": f"192.0.2.{number % 250}",
                    **usual,
                },
            )
            for number in range(count)
        ),
    )


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of three months with plays; on one of them, a fifth of the plays are barely long enough to earn, in widgets."""
    home = tmp_path_factory.mktemp("four_days") / "home"
    for day in DAYS:
        land_plays(home, day, "usual", day, 160 if day == ATTACKED else 40)
    hidden = {"user_id": None, "client": "embed", "source": "embed", "ms_played": 31_000}
    land_plays(home, ATTACKED, "hidden", ATTACKED, 40, **hidden)
    land_gaps(home, FAR_DAY, LAST_ARRIVAL)
    reference = home / "landing" / "reference"
    reference.mkdir()
    (reference / "revenue.csv").write_text(
        "month,country,tier,currency,net_revenue_minor\n2026-01,SE,free,SEK,100000\n2026-03,SE,free,SEK,100000\n",
        encoding="utf-8",
    )
    known = (
        f"embed track {number},artist,title,QZS00260000{number},180000,2025-06-01T00:00:00Z" for number in range(5)
    )
    (reference / "tracks.csv").write_text(
        "\n".join(["track_id,artist_id,title,isrc,duration_ms,uploaded_at", *known, ""]), encoding="utf-8"
    )
    run(open_pipeline(home))
    return home


@pytest.fixture
def home(converged: Path, tmp_path: Path) -> Path:
    return copied(converged, tmp_path / "home")


def test_a_file_months_late_touches_its_day_its_month_and_what_weighs_four_weeks(home: Path) -> None:
    land_plays(home, LAST_ARRIVAL, "late", FAR_DAY, 1)
    _, did = run(open_pipeline(home))
    assert did == {
        ("received_plays", LAST_ARRIVAL),
        ("received_files", LAST_ARRIVAL),
        *((stage, FAR_DAY) for stage in DAILY_STAGES),
        *((stage, NEAR_DAY) for stage in OVER_WEEKS),
        *(
            (stage, "2026-01")
            for stage in ("royalty_statements", "statement_basis", "royalty_adjustments", "royalty_payments")
        ),
        ("royalty_payments", "2026-03"),
        ("reports", "2026-01"),
        ("report_pages", "all"),
        ("widget_counts", "all"),
        ("warehouse", "all"),
    }


def test_another_threshold_reclassifies_every_day_and_goes_on_only_where_that_changes_a_verdict(
    home: Path, tmp_path: Path
) -> None:
    package = edited(tmp_path / "edited", ATTACK_TYPES, SUSPICIOUS, SUSPICIOUS)
    assert converge_with(package, home)[0] == [], "the copy is the same code"
    edit(package, ATTACK_TYPES, SUSPICIOUS, LESS_SUSPICIOUS)

    did, _, reused = converge_with(package, home)

    reclassified = [item for item in did if item[0] == "classified_plays"]
    assert {partition for _, partition, *_ in reclassified} == set(DAYS)
    assert {cause for *_, cause in reclassified} == {"code: spam_pipeline.trust_and_safety.attack_types.SIGNATURES"}
    assert {partition for stage, partition, *_ in did if stage in DAILY_REPORTS} == {ATTACKED}
    assert not {stage for stage, *_ in did} & {"received_plays", "plays", "entity_facts", "play_signals", "spam_model"}
    assert reused == 0

    edit(package, ATTACK_TYPES, LESS_SUSPICIOUS, SUSPICIOUS)
    did, computed, reused = converge_with(package, home)
    assert computed == 0
    assert reused == len(did) > len(DAYS)
