"""What the tests of the Dagster layer start from: an instance on disk, as a deployment has one, and a converged pipeline."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.protocol.convergence import converge
from spam_pipeline.protocol.runner import Runner
from spam_pipeline_tests.orchestration.toy_location import observed
from spam_pipeline_tests.orchestration.watched_numbers import watched


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


@pytest.fixture
def runner(home: Path) -> Runner:
    """A runner for which everything has converged that landed in `home`, which each test file fills for itself."""
    runner = observed(home, stages=watched())
    converge(runner)
    return runner
