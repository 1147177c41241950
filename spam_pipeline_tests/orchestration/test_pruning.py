"""The job `prune`: what it asks and does, and which runs of an instance it deletes."""

from collections.abc import Mapping

import dagster as dg
import pytest

from spam_pipeline.orchestration.pruning import delete_old_runs, prune_job


@dg.op
def nothing() -> None:
    pass


@dg.op
def failing() -> None:
    raise ValueError("as it is meant to")


@dg.job
def other_job() -> None:
    nothing()


@dg.job
def failing_job() -> None:
    failing()


@dg.asset
def table() -> None:
    pass


@dg.asset_check(asset=table)
def is_table() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def jobs(instance: dg.DagsterInstance) -> list[str]:
    return sorted(run.job_name for run in instance.get_runs())


def test_old_runs_go_that_say_nothing_of_an_asset_and_partitions_keep_their_state(instance: dg.DagsterInstance) -> None:
    other_job.execute_in_process(instance=instance)
    failing_job.execute_in_process(instance=instance, raise_on_error=False)
    dg.materialize([table], instance=instance)
    dg.materialize([table, is_table], instance=instance, selection=dg.AssetSelection.checks(is_table))
    before = jobs(instance)
    assert (len(before), delete_old_runs(instance, 1, is_dry=False)) == (4, 0), "young ones stay"
    assert delete_old_runs(instance, 0, is_dry=True) == 2
    assert jobs(instance) == before
    assert delete_old_runs(instance, 0, is_dry=False) == 2
    assert jobs(instance) == [name for name in before if name not in {"other_job", "failing_job"}]
    assert instance.get_latest_materialization_event(table.key) is not None


@pytest.mark.parametrize(("config", "asked"), [({}, ("1h", True)), ({"dry_run": False, "grace": "5m"}, ("5m", False))])
def test_the_job_is_a_dry_run_unless_it_is_told_otherwise(
    instance: dg.DagsterInstance, config: dict[str, object], asked: tuple[str, bool]
) -> None:
    did = list[tuple[str, bool]]()

    def prune(grace: str, is_dry: bool) -> Mapping[str, str]:  # noqa: FBT001 - as the job calls it
        did.append((grace, is_dry))
        return {"versions pruned": "3"}

    done = prune_job(prune, None).execute_in_process(run_config=config, instance=instance)
    [metadata] = [
        event.event_specific_data.metadata for event in done.filter_events(lambda event: event.is_successful_output)
    ]  # type: ignore[union-attr]
    assert did == [asked]
    assert {name: value.value for name, value in metadata.items()} == {"versions pruned": "3", "runs deleted": "0"}


def test_a_wrong_grace_fails_the_run_with_what_is_expected(instance: dg.DagsterInstance) -> None:
    def prune(grace: str, _is_dry: bool) -> Mapping[str, str]:  # noqa: FBT001 - as the job calls it
        raise ValueError(f"expected a number, got {grace}")

    with pytest.raises(dg.Failure, match="expected a number, got 1h"):
        prune_job(prune, 0).execute_in_process(instance=instance)
