"""Arguments and options of commands: their types, and the words they accept.

The words stand here once more, so that help and usage errors list them without loading what they are the words of.
"""

import os
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
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


class LogLevel(StrEnum):
    """The levels of messages, as Python has them."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


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


def _as_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date: expected YYYY-MM-DD") from None


def _as_scenario(text: str) -> str:
    if text not in SCENARIOS:
        raise typer.BadParameter(f"{text!r} is not a scenario: expected any of {', '.join(SCENARIOS)}")
    return text


def _as_grace(text: str | timedelta) -> timedelta:
    if isinstance(text, timedelta):
        return text
    from spam_pipeline.operations.pruning import read_grace

    try:
        return read_grace(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


def use_environment(name: str | None) -> None:
    """Let this command, and whatever process it starts, read and publish in an environment, as the variable would."""
    if name is None:
        return
    from spam_pipeline.settings import PREFIX, check_environment

    try:
        os.environ[f"{PREFIX}ENVIRONMENT"] = check_environment(name)
    except ValueError as problem:
        raise typer.BadParameter(f"{name!r} is no environment: {problem}", param_hint="--environment") from None


def _stages(incomplete: str) -> list[str]:
    from spam_pipeline.command_line.completion import STAGES, known_names

    return [name for name in known_names(STAGES) if name.startswith(incomplete)]


def _environments(incomplete: str) -> list[str]:
    from spam_pipeline.command_line.completion import ENVIRONMENTS, known_names

    return [name for name in known_names(ENVIRONMENTS) if name.startswith(incomplete)]


def _stages_and_environments(incomplete: str) -> list[str]:
    return [*_stages(incomplete), *_environments(incomplete)]


Environment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="The environment; default: SPAM_PIPELINE_ENVIRONMENT.",
        autocompletion=_environments,
    ),
]
Grace = Annotated[
    timedelta,
    typer.Option(
        parser=_as_grace,
        metavar="TIME",
        show_default="1h",
        help="How long files of a pruned version stay for whoever reads them, such as 90m or 1h.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Month = Annotated[str, typer.Argument(help="The statement month, YYYY-MM.")]
Partition = Annotated[str | None, typer.Argument(help="A partition; default: the newest one that is published.")]
Stage = Annotated[str, typer.Argument(help="The name of a stage.", autocompletion=_stages)]
StageOrEnvironment = Annotated[
    str,
    typer.Argument(
        metavar="STAGE",
        help="A stage; or an environment, to compare everything that differs from it.",
        autocompletion=_stages_and_environments,
    ),
]
Stages = Annotated[
    list[str] | None,
    typer.Argument(metavar="[STAGE]...", help="Names of stages; default: all.", autocompletion=_stages),
]
StartDay = Annotated[
    date | None,
    typer.Option(parser=_as_day, metavar="YYYY-MM-DD", help="First day; default: SPAM_PIPELINE_START_DATE."),
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        parser=_as_scenario, metavar="NAME", help=f"One of {', '.join(SCENARIOS)}; may be repeated; default: all."
    ),
]
FirstDay = Annotated[
    str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="Decide a suspicion from this day on.")
]
LastDay = Annotated[
    str | None, typer.Option("--until", metavar="YYYY-MM-DD", help="Decide a suspicion up to the end of this day.")
]
Devices = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY", help="Decide this device of a suspicion alone, key: and 16 digits; may be repeated."),
]
VersionOrSuspicion = Annotated[
    str,
    typer.Argument(
        metavar="VERSION|SUSPICION",
        help="The recipe of the version, or its first digits: versions lists them; the id of the suspicion: suspicions does.",
    ),
]
OldVersion = Annotated[
    str | None,
    typer.Argument(
        help="The first digits of a recipe (for a range: of a code version), or published, newest or production; "
        "default: published."
    ),
]
StatementsFolder = Annotated[
    Path | None, typer.Option("--out", help="Where to create the month's folder; default: statements/ in the home.")
]
PartyId = Annotated[
    str | None, typer.Option(help="The licensee's DDEX Party Identifier; default: one that is allotted to nobody.")
]
