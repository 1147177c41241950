"""`simulate`: a platform's plays of some days as a landing zone, and the ground truth of every scenario beside it.

Only the order of steps is here; each step is in the module it calls. The same arguments make the same bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl

from spam_pipeline.simulation.attacks import ATTACKS
from spam_pipeline.simulation.catalogue import agreements_table, catalogue, rights_table, tracks_table
from spam_pipeline.simulation.deliveries import arrivals, late_plays, with_event_ids
from spam_pipeline.simulation.geography import DAY_MS
from spam_pipeline.simulation.hard_negatives import HARD_NEGATIVES
from spam_pipeline.simulation.incidents import incidents_table
from spam_pipeline.simulation.landing_zone import Landed, land_day, land_table, require_empty
from spam_pipeline.simulation.listeners import accounts_table, listeners, opened_accounts_table, revenue_table
from spam_pipeline.simulation.listening import as_plays
from spam_pipeline.simulation.organic import organic_day, organic_volume
from spam_pipeline.simulation.patience import FORMS, patient_cast, patient_listening, patient_tracks
from spam_pipeline.simulation.randomness import Indices, generator
from spam_pipeline.simulation.scenario import Campaign, Casting, Scenario, Scene, World, campaigns, planting
from spam_pipeline.simulation.skills import SKILLS, Skill, cost_per_1000_plays
from spam_pipeline.simulation.truth import keep_day, put_together, truth_of

_SCENARIOS: Final = {scenario.name: scenario for scenario in (*ATTACKS, *HARD_NEGATIVES)}

_ATTACK_NAMES: Final = [attack.name for attack in ATTACKS]

SCENARIOS: Final[Mapping[str, str]] = MappingProxyType({name: known.description for name, known in _SCENARIOS.items()})
"""The description of every scenario: attacks first, then honest behaviour that resembles one."""


@dataclass(frozen=True)
class Simulated:
    """The totals of a simulation. `plays` are distinct; every line is a play, a duplicate of one, broken or blank.

    `late_plays` first land two or more hour folders after their own hour. `spam_plays` has every attack, 0 where it did not run.
    `cost_per_1000_plays` is what 1,000 paid plays cost each attacker, in dollars, by the prices that `skills` assumes.
    """

    days: int
    files: int
    plays: int
    duplicates: int
    broken_lines: int
    blank_lines: int
    late_plays: int
    spam_plays: Mapping[str, int]
    cost_per_1000_plays: Mapping[str, float]


@dataclass(frozen=True)
class _Production:
    """A campaign, its identities, and their tracks."""

    campaign: Campaign
    cast: pl.DataFrame
    tracks: Indices


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same on all days."""

    seed: int
    start: date
    days: int
    plays_per_day: int
    world: World
    productions: tuple[_Production, ...]

    def day_ms(self, day: int) -> int:
        """Return the midnight UTC at which a day begins, in milliseconds since 1970."""
        midnight = datetime.combine(self.start, datetime.min.time(), UTC)
        return round(midnight.timestamp() * 1000) + day * DAY_MS


def _no_progress(_day: str, _plays: int) -> None:
    """Report nothing."""


def simulate(  # noqa: PLR0913 - the options of the command, each with a default
    home: Path,
    *,
    start: date,
    days: int = 14,
    plays_per_day: int = 20_000,
    seed: int = 1,
    scenarios: Sequence[str] | None = None,
    skill: str = "0",
    on_day: Callable[[str, int], None] = _no_progress,
) -> Simulated:
    """Write `landing/` and `truth.parquet` into `home`; by default with every scenario.

    `skill` is how the coordinated attacks hide, a level of `SKILLS`. `plays_per_day` is the mean organic volume; scenarios come on top. Plays happen in `days` UTC days from `start`, and nothing
    arrives after them. `on_day` is called with each finished day and its number of plays. Memory grows with one day's plays.

    Raises `FileExistsError` if something has landed in `home` before, `ValueError` for an unknown scenario or skill, or a
    negative or zero number.
    """
    chosen = _chosen(scenarios)
    for name, value, least in (("days", days, 1), ("plays_per_day", plays_per_day, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}: expected at least {least}")
    if skill not in SKILLS:
        raise ValueError(f"unknown skill {skill}: expected any of {', '.join(SKILLS)}")
    require_empty(home / "landing")
    plan = _planned(seed, start, days, plays_per_day, chosen, SKILLS[skill])
    _land_tables(home / "landing", plan)
    done = _land_days(home, plan, on_day)
    put_together(home)
    return done


def _chosen(names: Sequence[str] | None) -> list[Scenario]:
    unknown = sorted(set(names or ()) - _SCENARIOS.keys())
    if unknown:
        raise ValueError(f"unknown scenario {', '.join(unknown)}: expected any of {', '.join(_SCENARIOS)}")
    return [scenario for name, scenario in _SCENARIOS.items() if names is None or name in names]


def _planned(  # noqa: PLR0913, PLR0917 - the options of a simulation
    seed: int, start: date, days: int, plays_per_day: int, chosen: Sequence[Scenario], skill: Skill | None
) -> _Plan:
    planned = campaigns(chosen, days, plays_per_day, seed, dict.fromkeys(FORMS, skill) if skill else {})
    tracks = int(np.clip(plays_per_day // 4, 400, 400_000))
    accounts = int(np.clip(plays_per_day // 5, 200, 1_000_000))
    known = catalogue(generator(seed, "catalogue"), tracks, [planting(campaign) for campaign in planned])
    world = World(known, listeners(generator(seed, "listeners"), accounts, known))
    productions = []
    for campaign in planned:
        casting = Casting(world, campaign, generator(seed, f"cast of {campaign.scenario.name}", campaign.number))
        if campaign.skill:
            cast, played = patient_cast(casting, campaign.skill), patient_tracks(casting, campaign.skill)
        else:
            cast, played = campaign.scenario.cast(casting), campaign.scenario.tracks(casting)
        productions.append(_Production(campaign, cast, played))
    return _Plan(seed, start, days, plays_per_day, world, tuple(productions))


def _land_tables(landing: Path, plan: _Plan) -> None:
    start_ms, known = plan.day_ms(0), plan.world.known
    opened = [
        opened_accounts_table(production.cast, start_ms)
        for production in plan.productions
        if "tier" in production.cast.columns
    ]
    accounts = pl.concat([accounts_table(plan.world.people, generator(plan.seed, "accounts"), start_ms), *opened])
    months = sorted({f"{plan.start + timedelta(days=day):%Y-%m}" for day in range(plan.days)})
    reference = landing / "reference"
    land_table(reference / "tracks.csv", tracks_table(known, generator(plan.seed, "tracks"), start_ms))
    rights = rights_table(known, generator(plan.seed, "rights"), plan.start, plan.days)
    land_table(reference / "rights.csv", rights)
    agreements = agreements_table(rights, generator(plan.seed, "agreements"), plan.start)
    land_table(reference / "agreements.csv", agreements)
    land_table(reference / "accounts.csv", accounts.sort("user_id"))
    land_table(reference / "revenue.csv", revenue_table(accounts, months))
    casts = [(production.campaign, production.cast) for production in plan.productions]
    land_table(landing / "incidents.csv", incidents_table(casts, known, start_ms, plan.seed))


def _land_days(home: Path, plan: _Plan, on_day: Callable[[str, int], None]) -> Simulated:
    landed, counts, spam = Landed(0, 0, 0), Counter[str](), Counter(dict.fromkeys(_ATTACK_NAMES, 0))
    under_way: list[pl.DataFrame] = []
    for day in range(plan.days):
        plays = with_event_ids(_plays_of(plan, day), generator(plan.seed, "event ids", day), day)
        keep_day(home, day, truth_of(plays, _ATTACK_NAMES))
        delivered, retries = arrivals(plays, generator(plan.seed, "arrivals", day), plan.day_ms(plan.days))
        counts.update(plays=plays.height, duplicates=retries, late_plays=late_plays(delivered[: plays.height]))
        spam.update(_spam_plays(plays))
        is_today = pl.col("arrival_ms") < plan.day_ms(day + 1)
        waiting = pl.concat([*under_way, delivered])
        landed += land_day(home / "landing", waiting.filter(is_today), plan.day_ms(day), plan.seed)
        under_way = [waiting.filter(~is_today)]
        on_day(str(plan.start + timedelta(days=day)), plays.height)
    return Simulated(
        days=plan.days, spam_plays=dict(spam), cost_per_1000_plays=_costs(plan, spam), **counts, **asdict(landed)
    )


def _costs(plan: _Plan, spam: Mapping[str, int]) -> dict[str, float]:
    """Estimate what each attack costs per 1,000 paid plays: its accounts are shared by all plays of its campaigns."""
    casts: dict[str, list[_Production]] = defaultdict(list)
    for production in plan.productions:
        casts[production.campaign.scenario.name].append(production)
    costs = {}
    for name, productions in casts.items():
        skill = productions[0].campaign.skill
        accounts = sum(production.cast.get_column("user_id").n_unique() for production in productions)
        paid = spam.get(name, 0) * (1 - (skill.camouflage if skill else 0.0))
        if paid and accounts:
            costs[name] = round(cost_per_1000_plays(skill, paid / accounts), 2)
    return costs


def _spam_plays(plays: pl.DataFrame) -> dict[str, int]:
    counted = plays.filter(pl.col("scenario").is_in(_ATTACK_NAMES))["scenario"].value_counts()
    return dict(counted.iter_rows())


def _plays_of(plan: _Plan, day: int) -> pl.DataFrame:
    """Generate all plays of a day, with the `scenario` of each (null: organic)."""
    count = organic_volume(plan.plays_per_day, plan.start + timedelta(days=day))
    known, people = plan.world.known, plan.world.people
    organic = organic_day(generator(plan.seed, "organic", day), people, known, count, plan.day_ms(day))
    ordinary = [as_plays(part, known).with_columns(scenario=pl.lit(None, pl.String)) for part in organic]
    acted = [_acted(plan, production, day) for production in plan.productions if _runs(production.campaign, day)]
    return pl.concat([*ordinary, *acted])


def _runs(campaign: Campaign, day: int) -> bool:
    begins_ms, ends_ms = campaign.overlap_ms(day)
    return begins_ms < ends_ms


def _acted(plan: _Plan, production: _Production, day: int) -> pl.DataFrame:
    campaign, start_ms = production.campaign, plan.day_ms(0)
    begins_ms, ends_ms = campaign.overlap_ms(day)
    scene = Scene(
        world=plan.world,
        campaign=campaign,
        cast=production.cast,
        tracks=production.tracks,
        day_ms=plan.day_ms(day),
        begins_ms=start_ms + begins_ms,
        ends_ms=start_ms + ends_ms,
        since_ms=begins_ms - campaign.begins_ms,
        plays=max(1, round(campaign.plays * (ends_ms - begins_ms) / (campaign.ends_ms - campaign.begins_ms))),
        rng=generator(plan.seed, f"days of {campaign.scenario.name}", campaign.number, day),
    )
    listening = patient_listening(scene, campaign.skill) if campaign.skill else campaign.scenario.listen(scene)
    plays = as_plays(listening, plan.world.known)
    is_in_scene = pl.col("occurred_ms").is_between(scene.begins_ms, scene.ends_ms, closed="left")
    return plays.filter(is_in_scene).with_columns(scenario=pl.lit(campaign.scenario.name))
