"""Arrivals: the hours that a cadence promises and that have not landed, in words and by day."""

from dataclasses import replace

import pytest

from spam_pipeline.protocol.definition.stage import HOURS, Cadence
from spam_pipeline.protocol.ledger.records import Observation
from spam_pipeline.protocol.planning.arrivals import in_words, missing_hours
from spam_pipeline.protocol.planning.landed import landed_files
from spam_pipeline_tests.protocol.selecting_stages import a_file, landed_numbers

FIRST = "2026-01-01"


def landed(**days: str) -> dict[str, list[Observation]]:
    """Files by day of January; each letter of a day stands for one."""
    return {
        (day := f"2026-01-{number[1:]}"): [a_file("landed_numbers", day, f"{day}/{letter}") for letter in files]
        for number, files in days.items()
    }


def missing(cadence: Cadence | None, files: dict[str, list[Observation]], first: str = FIRST) -> dict[str, str]:
    def hours_of(path: str) -> tuple[str, ...]:
        return {"m": (), "h": ("07",), "r": HOURS[:7] + HOURS[8:]}.get(path[-1], HOURS)

    source = replace(landed_numbers, cadence=cadence, hours_of=hours_of)
    there = {day: landed_files(source, day, items) for day, items in files.items()}
    return {day: in_words(hours) for day, hours in missing_hours(source, there, first).items()}


@pytest.mark.parametrize("cadence", [Cadence.DAY, Cadence.HOUR])
def test_a_day_without_a_file_and_one_with_a_manifest_alone_lack_everything(cadence: Cadence) -> None:
    assert missing(cadence, landed(d01="a", d03="m", d04="a")) == {"2026-01-02": "anything", "2026-01-03": "anything"}


def test_hours_are_asked_of_every_day_but_the_newest_and_come_from_all_of_its_files() -> None:
    files = landed(d01="r", d02="rh", d03="h")
    assert missing(Cadence.HOUR, files) == {"2026-01-01": "hours 07"}
    assert missing(Cadence.DAY, files) == {}


def test_nothing_is_asked_without_a_cadence_before_the_first_day_or_where_nothing_landed() -> None:
    files = landed(d01="a", d04="a")
    assert missing(None, files) == {}
    assert missing(Cadence.DAY, files, "2026-01-04") == {}
    assert missing(Cadence.DAY, files, "2026-02-01") == {}
    assert missing(Cadence.DAY, {}) == {}
