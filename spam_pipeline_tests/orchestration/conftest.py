"""What the tests of the Dagster layer start from: an instance on disk, as a deployment has one, and a converged pipeline."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from spam_pipeline.protocol.operating import Engine, converge
from spam_pipeline_tests.orchestration.toy_location import observed
from spam_pipeline_tests.orchestration.watched_numbers import watched


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


@pytest.fixture
def engine(home: Path) -> Engine:
    """A engine for which everything has converged that landed in `home`, which each test file fills for itself."""
    engine = observed(home, stages=watched())
    converge(engine)
    return engine
