"""Arguments and options of commands: their types, and the words they accept.

The words stand here once more, so that help and usage errors list them without loading what they are the words of.
"""

import os
from datetime import date
from enum import StrEnum
from typing import Annotated

import typer

SCENARIOS = (
    *("loop_bot", "bot_farm", "low_and_slow", "account_takeover", "paid_plays", "device_farm", "embedded_autoplay"),
    *("viral_release", "sleep_listener", "looping_fan", "super_account", "office_network", "shop_radio"),
    *("school_class", "shared_account", "fan_project", "devoted_small_artist", "viral_embed", "previews"),
)
"""The names of the simulation's scenarios."""


FILES_OF_ROWS = (".csv", ".parquet")
"""How the names of files end that the rows of a query are written to."""


class Decision(StrEnum):
    """The kinds of decision."""

    ACCEPT = "accept"
    REJECT = "reject"
    CONFIRM = "confirm"
    CLEAR = "clear"


OF_SUSPICIONS = (Decision.CONFIRM, Decision.CLEAR)
"""The kinds that are about suspicions; the others are about versions."""


class Skill(StrEnum):
    """The skill levels of simulated attackers."""

    NAIVE = "0"
    TO_THE_END = "1"
    LIKE_PEOPLE = "2"
    HIDDEN = "3"
    OF_TASTE = "4"
    RAMP = "ramp"


class Queue(StrEnum):
    """The queues of suspicions."""

    BEHAVIOUR = "behaviour"
    AUTOMATION = "automation"


def as_day(text: str) -> date:
    """Return a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date: expected YYYY-MM-DD") from None


def as_scenario(text: str) -> str:
    """Return the name of a scenario."""
    if text not in SCENARIOS:
        raise typer.BadParameter(f"{text!r} is not a scenario: expected any of {', '.join(SCENARIOS)}")
    return text


def use_environment(name: str | None) -> None:
    """Let this command, and whatever process it starts, read and publish in an environment, as the variable would."""
    if name is None:
        return
    from spam_pipeline.settings import PREFIX, check_environment

    try:
        os.environ[f"{PREFIX}ENVIRONMENT"] = check_environment(name)
    except ValueError as problem:
        raise typer.BadParameter(f"{name!r} is no environment: {problem}", param_hint="--environment") from None


Environment = Annotated[
    str | None,
    typer.Option("--environment", metavar="NAME", help="The environment; default: SPAM_PIPELINE_ENVIRONMENT."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Month = Annotated[str, typer.Argument(help="The statement month, YYYY-MM.")]
Partition = Annotated[str | None, typer.Argument(help="A partition; omit it for a stage that is not partitioned.")]
Stage = Annotated[str, typer.Argument(help="The name of a stage.")]
Stages = Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help="Names of stages; default: all.")]
