"""Another team's code location beside ours: its sensor, what it lands, and what it bills."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget, WorkspaceFileTarget

from examples.advertising.definitions import DAILY_PLAYS, build_definitions, open_engine
from spam_pipeline.orchestration.instance import InstanceOfAnother
from spam_pipeline.reporting.contracts import DailyPlays
from spam_pipeline_tests.examples.toy_platform import MOST_PLAYS, Platform
from spam_pipeline_tests.orchestration.toy_location import evaluated

WORKSPACE = Path(__file__).parents[2] / "examples" / "advertising" / "workspace.yaml"
FIRST, SECOND = "2026-01-01", "2026-01-02"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


@pytest.fixture
def platform(tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    return Platform(tmp_path / "platform", instance)


@dataclass
class Team:
    """The team's code location, and its daemon, which remembers the cursors from tick to tick."""

    home: Path
    instance: dg.DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.location = build_definitions(self.home)

    def tick(self, sensor: str) -> list[str | None]:
        """The days that a tick of a sensor starts a run for."""
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursors.get(sensor), repository_def=self.location.get_repository_def()
        )
        done = self.location.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = done.cursor
        return [request.partition_key for request in done.run_requests or ()]

    def runs_for_publications(self) -> list[str | None]:
        return self.tick("daily_plays_published")

    def materialize(self, asset: str, days: Sequence[str | None]) -> None:
        job = self.location.resolve_implicit_global_asset_job_def()
        for day in days:
            asked = [dg.AssetKey(asset)]
            assert job.execute_in_process(asset_selection=asked, partition_key=day, instance=self.instance).success

    def converge(self) -> set[str | None]:
        """Look for what landed and compute what the condition asks for; return for which days that was."""
        self.tick("landing")
        found = evaluated(self.location, self.instance)
        days = set(found.get_requested_partitions(dg.AssetKey("billed_plays")))
        self.materialize("billed_plays", sorted(days, key=str))
        return days

    def bills(self, *days: str) -> list[int]:
        bills = open_engine(self.home).reader.read("billed_plays", days).collect()
        return bills.sort("event_day")["amount_minor"].to_list()

    def computed(self, day: str) -> int:
        return len(open_engine(self.home).ledger.versions("billed_plays", day))


@pytest.fixture
def team(tmp_path: Path, instance: dg.DagsterInstance) -> Team:
    return Team(tmp_path / "advertising", instance)


def test_the_workspace_loads_it_beside_ours_and_draws_one_lineage(instance: dg.DagsterInstance) -> None:
    origins = WorkspaceFileTarget([str(WORKSPACE)]).create_origins()
    in_process = [
        InProcessCodeLocationOrigin(origin.loadable_target_origin, location_name=origin.location_name)
        for origin in origins
        if isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
    ]
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(in_process)) as process:
        workspace = process.create_request_context()
        errors = {
            entry.origin.location_name: entry.load_error for entry in workspace.get_code_location_entries().values()
        }
        graph = workspace.asset_graph
    assert errors == {"spam_pipeline": None, "advertising": None}
    assert graph.get(DAILY_PLAYS).is_executable, "the sensor watches an asset that the pipeline makes"
    assert graph.get(DAILY_PLAYS).child_keys >= {dg.AssetKey("published_counts")}
    assert "plays_without_spam" in DailyPlays.fingerprint(), "the number that is billed comes with its events"


def test_each_publication_starts_one_run_though_many_are_seen_at_once(platform: Platform, team: Team) -> None:
    assert team.runs_for_publications() == []
    platform.receive("a", f"{FIRST} 2000", f"{SECOND} 3000")
    assert sorted(map(str, team.runs_for_publications())) == [FIRST, SECOND]
    assert team.runs_for_publications() == []
    platform.receive("late", f"{FIRST} 500")
    assert team.runs_for_publications() == [FIRST]
    assert team.runs_for_publications() == []


def test_a_refused_version_starts_a_run_only_once_somebody_accepts_it(platform: Platform, team: Team) -> None:
    platform.receive("a", f"{FIRST} 2000")
    assert team.runs_for_publications() == [FIRST]
    platform.receive("huge", f"{FIRST} {MOST_PLAYS}")
    assert team.runs_for_publications() == []
    platform.accept(FIRST)
    assert team.runs_for_publications() == [FIRST]


def test_a_branch_and_the_run_of_a_fresh_day_publish_nothing_to_bill(platform: Platform, team: Team) -> None:
    platform.receive("a", f"{FIRST} 2000")
    assert team.runs_for_publications() == [FIRST]
    branch = platform.branch()
    with pytest.raises(InstanceOfAnother):
        branch.receive("late", f"{FIRST} 500")
    branch.report_as_before()
    platform.materialize(FIRST)
    assert len(platform.told(FIRST)) == 3
    assert team.runs_for_publications() == []


def test_it_bills_what_is_published_and_computes_nothing_twice(platform: Platform, team: Team) -> None:
    platform.receive("a", f"{FIRST} 2000", f"{SECOND} 3000")
    team.materialize("published_counts", team.runs_for_publications())
    assert team.converge() == {FIRST, SECOND}
    assert team.bills(FIRST, SECOND) == [900, 1350]
    assert team.converge() == set()

    platform.receive("late", f"{FIRST} 500")
    team.materialize("published_counts", team.runs_for_publications())
    assert team.converge() == {FIRST}
    assert team.bills(FIRST, SECOND) == [1125, 1350]
    team.materialize("billed_plays", [FIRST, SECOND])
    assert (team.computed(FIRST), team.computed(SECOND)) == (2, 1)
