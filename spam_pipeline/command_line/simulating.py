"""Printing what a simulation wrote."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from itertools import count

from spam_pipeline.command_line.terminal import print_record, progress
from spam_pipeline.settings import settings_from_environment
from spam_pipeline.simulation import simulate


def print_simulation(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    days: int,
    plays_per_day: int,
    seed: int,
    start: date | None,
    scenarios: Sequence[str] | None,
    skill: str,
    *,
    as_json: bool,
) -> None:
    """Write a landing zone below the home, and print what is in it."""
    settings = settings_from_environment()
    settings.require_landing_below_home()
    done = count(1)
    with progress() as on_progress:
        simulated = simulate(
            settings.home,
            days=days,
            plays_per_day=plays_per_day,
            seed=seed,
            start=start or settings.start_date,
            scenarios=scenarios,
            skill=skill,
            on_day=lambda day, plays: on_progress(f"simulated {day}: {plays:,} plays", next(done), days),
        )
    print_record(asdict(simulated), as_json=as_json)
