"""Addresses of pages of the Dagster UI: the evidence about a partition, and the launchpad that decides about it.

Here because the command line and messages, which must not load the orchestrator, link to what it shows. Below the code location's name of
`workspace.yaml`. Dagster documents none of these addresses: tests open them in a browser.
"""

import json
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote, urlencode

from spam_pipeline.protocol import WHOLE
from spam_pipeline.protocol.operating import DecisionKind

LOCATION = "spam_pipeline"
"""The name of the code location."""


class Place(Protocol):
    """Whatever is about a partition of a stage."""

    @property
    def stage(self) -> str:
        """The name of the stage."""

    @property
    def partition(self) -> str:
        """The key of the partition."""


def evidence_path(place: Place, asset_prefix: Sequence[str] = ()) -> str:
    """The path of the page that shows what became of a partition, such as why it waits."""
    asset = "/".join(map(quote, (*asset_prefix, place.stage)))
    key = {} if place.partition == WHOLE else {"partition": place.partition}
    return f"/assets/{asset}?{urlencode({'view': 'partitions' if key else 'overview', **key})}"


def decision_path(kind: DecisionKind, version: str) -> str:
    """The path of the launchpad of the job `decide` about a version, by digits of its recipe, filled in but for who decides and why."""
    filled = {"action": kind.value, "version": version, "by": "", "reason": ""}
    config = "\n".join(f"{name}: {json.dumps(value)}" for name, value in filled.items())  # JSON is YAML
    return f"/locations/{LOCATION}/jobs/decide/playground/setup?{urlencode({'config': config})}"
