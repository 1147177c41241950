"""Preview and beta features of Dagster that this layer rests on, in one place to check at an upgrade.

Checks per partition (without them one refused day would block all the others), partition mappings that reach before the grid
begins, and sensors that evaluate conditions in the code location. `test_dagster_facts` pins their behaviour.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def preview_apis() -> Iterator[None]:
    """Use such a feature without Dagster's warning about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
