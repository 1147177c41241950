"""The messages to the process that reports to a Dagster instance, as lines of JSON on its standard input.

Here because the process that writes them must not load the orchestrator, and the one that reads them must not load the pipeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from spam_pipeline.protocol.operating import Converged, Expected, Outlook, Quarantined, Waiting


@dataclass(frozen=True)
class Assignment:
    """The first message: whose publications to report, to which instance, below which prefix, and what consumers expect of them."""

    ledger: str
    environment: str
    dagster_home: Path
    expected: Expected
    asset_prefix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ending:
    """The last message: what the convergence did and left, what is quarantined, by stage and partition, and what waits for somebody."""

    done: Converged
    quarantined: Mapping[str, Mapping[str, Quarantined]]
    outlooks: Mapping[str, Outlook]
    waiting: tuple[Waiting, ...]


def to_line(message: Assignment | Ending) -> bytes:
    """A message as a line."""
    return TypeAdapter(type(message)).dump_json(message) + b"\n"


def read_assignment(line: str) -> Assignment:
    """The message in a first line. Raises `ValueError`."""
    return TypeAdapter(Assignment).validate_json(line)


def read_ending(line: str) -> Ending:
    """The message in a last line. Raises `ValueError`."""
    return TypeAdapter(Ending).validate_json(line)
