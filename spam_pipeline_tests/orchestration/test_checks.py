"""The checks of stages over a real instance: in the run that publishes, and executed by themselves."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from spam_pipeline.orchestration.checks import stage_checks
from spam_pipeline.orchestration.evaluations import EXPECTED_BY
from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import Engine, converge
from spam_pipeline_tests.orchestration.toy_location import START, last_check, materialize, observed, told, toy_location
from spam_pipeline_tests.orchestration.watched_numbers import watched
from spam_pipeline_tests.protocol.toy_pipeline import STAGES, land

SMALL, LARGE, HUGE = "2026-01-01", "2026-01-02", "2026-01-03"
AUDITS = ("contract", "history")
NEEDED = f"{EXPECTED_BY}two_day_total"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three days whose numbers are small, large and huge; the first has less than `two_day_total` needs."""
    home = tmp_path / "home"
    for day, number in ((SMALL, 1), (LARGE, 500), (HUGE, 5000)):
        land(home, day, "a", f"{day} {number}")
    return home


def execute(
    engine: Engine, instance: dg.DagsterInstance, stage: str, partition: str | None, *names: str
) -> dg.ExecuteInProcessResult:
    """Execute checks of a stage and nothing else, as the UI does."""
    keys = [dg.AssetCheckKey(dg.AssetKey(stage), name) for name in names or (*AUDITS, NEEDED)]
    location = toy_location(engine)
    job = dg.Definitions(
        assets=location.assets,
        asset_checks=location.asset_checks,
        resources=location.resources,
        executor=dg.in_process_executor,
        jobs=[dg.define_asset_job("look", dg.AssetSelection.checks(*keys))],
    ).resolve_job_def("look")
    tags = {"dagster/partition": partition} if partition else {}
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def outcomes(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None, bool, str]]:
    """The name, partition, outcome and severity of everything that was evaluated."""
    found = result.get_asset_check_evaluations()
    return {(item.check_name, item.partition, item.passed, item.severity.value) for item in found}


def recorded(engine: Engine, home: Path) -> tuple[int, ...]:
    """How many rows the ledger has of what computing, auditing and publishing leave."""
    database = sa.create_engine(f"sqlite:///{home / 'ledger.db'}")
    with database.connect() as connection:
        tables = ("versions", "attempts", "audits", "publications", "fingerprints")
        counts = [connection.scalar(sa.text(f"select count(*) from {name}")) for name in tables]  # noqa: S608 - our own names
    database.dispose()
    assert engine.environment
    return tuple(int(count or 0) for count in counts)


def test_each_stage_has_the_checks_that_its_contract_and_its_consumers_call_for(home: Path) -> None:
    graph = observed(home, stages=watched()).graph
    specs = {
        (stage.name, spec.name): spec
        for stage in graph.stages.values()
        for spec in stage_checks(stage, graph, START).check_specs
    }
    assert {name for stage, name in specs if stage == "numbers"} == {"contract", "history", NEEDED}
    assert {name for stage, name in specs if stage == "two_day_total"} == {"contract"}
    assert {name for stage, name in specs if stage == "model"} == {"contract"}
    assert {name for (_, name), spec in specs.items() if spec.blocking} == {"contract", "history"}
    assert specs["model", "contract"].partitions_def is None
    assert specs["monthly_total", "contract"].partitions_def == dg.MonthlyPartitionsDefinition(
        "2026-01", fmt="%Y-%m", end_offset=1
    )
    assert "total at least 5" in str(specs["numbers", NEEDED].description)


def test_a_run_that_publishes_is_followed_by_its_checks(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=watched())
    converge(engine, ["received_numbers"])
    result = materialize(engine, instance, "numbers", LARGE)
    assert result.success, "a warning blocks nobody"
    assert outcomes(result) >= {
        ("contract", LARGE, False, "WARN"),
        ("history", LARGE, True, "WARN"),
        (NEEDED, LARGE, True, "WARN"),
    }
    assert len(told(instance, "numbers", LARGE)) == 1


def test_a_refused_version_fails_its_checks_and_is_not_materialized(home: Path, instance: dg.DagsterInstance) -> None:
    engine = observed(home, stages=watched())
    converge(engine, ["received_numbers"])
    result = materialize(engine, instance, "numbers", HUGE)
    assert not result.success
    assert told(instance, "numbers", HUGE) == []
    history, contract = (last_check(instance, "numbers", name, HUGE) for name in ("history", "contract"))
    assert history is not None
    assert (history.passed, history.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert set(history.metadata) >= {"findings", "evidence", "expected and seen", "drawn", "decide"}
    assert contract is not None
    assert not contract.passed, "and the contract warns of its total"


def test_what_a_consumer_needs_and_does_not_get_is_a_warning(engine: Engine, instance: dg.DagsterInstance) -> None:
    assert (NEEDED, SMALL, False, "WARN") in outcomes(execute(engine, instance, "numbers", SMALL))
    assert (NEEDED, LARGE, True, "WARN") in outcomes(execute(engine, instance, "numbers", LARGE))


@pytest.mark.parametrize("partition", [SMALL, LARGE, HUGE, None])
def test_executed_by_themselves_they_compute_and_record_nothing(
    home: Path, engine: Engine, instance: dg.DagsterInstance, partition: str | None
) -> None:
    before = recorded(engine, home)
    assert outcomes(execute(engine, instance, "numbers", partition))
    assert recorded(engine, home) == before


def test_executed_by_themselves_they_say_what_the_audit_said(engine: Engine, instance: dg.DagsterInstance) -> None:
    published, quarantined = (execute(engine, instance, "numbers", key) for key in (LARGE, HUGE))
    assert ("contract", LARGE, False, "WARN") in outcomes(published)
    assert published.success
    assert ("history", HUGE, False, "ERROR") in outcomes(quarantined)
    assert not quarantined.success, "it is blocking"


def test_executed_without_a_partition_they_audit_what_is_new_and_what_is_quarantined(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    result = execute(engine, instance, "numbers", None, "history")
    assert result.success
    assert {(name, key, passed) for name, key, passed, _ in outcomes(result)} == {
        ("history", SMALL, True),
        ("history", LARGE, True),
        ("history", HUGE, False),
    }


def test_each_can_be_executed_alone(engine: Engine, instance: dg.DagsterInstance) -> None:
    assert {name for name, *_ in outcomes(execute(engine, instance, "numbers", LARGE, "history"))} == {"history"}


def test_a_stage_without_partitions_is_audited_as_a_whole(engine: Engine, instance: dg.DagsterInstance) -> None:
    assert outcomes(execute(engine, instance, "model", None, "contract")) == {("contract", None, True, "WARN")}
    assert engine.reader.version("model", WHOLE)


def test_a_partition_without_a_version_has_nothing_to_audit(engine: Engine, instance: dg.DagsterInstance) -> None:
    result = execute(engine, instance, "numbers", "2026-01-09", "contract")
    assert outcomes(result) == {("contract", "2026-01-09", False, "WARN")}
    assert "no version of it yet" in str(result.get_asset_check_evaluations()[0].description)
    assert outcomes(execute(engine, instance, "numbers", "2026-01-09", "history")) == set()


def test_after_bad_code_was_taken_back_they_are_about_what_is_published(
    home: Path, instance: dg.DagsterInstance
) -> None:
    converge(observed(home, stages=watched()))
    converge(observed(home, stages=watched(broken=True)))
    again = observed(home, stages=watched())
    converge(again)
    assert ("history", LARGE, True, "WARN") in outcomes(execute(again, instance, "numbers", LARGE))


def test_a_stage_of_which_nobody_expects_anything_has_no_such_check(home: Path) -> None:
    graph = observed(home).graph
    names = {spec.name for stage in STAGES for spec in stage_checks(stage, graph, START).check_specs}
    assert not any(name.startswith(EXPECTED_BY) for name in names)
