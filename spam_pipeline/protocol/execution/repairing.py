"""Repairing the store: a file that is missing or damaged is computed again from the recipe of its version, and put back.

A file is named by the digest of its bytes, so what was computed is right if it is found under that name, whichever code computed
it. Nothing is recorded: the ledger said all along what the file is. `storage` finds damage, `verifying` looks for it everywhere.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from spam_pipeline.protocol.definition.graph import StageGraph
from spam_pipeline.protocol.execution.computation import Computation
from spam_pipeline.protocol.execution.outcome import format_error
from spam_pipeline.protocol.foundation.errors import Irreparable, StoreDamaged
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.recipe import InputRef, Recipe
from spam_pipeline.protocol.ledger.records import Version
from spam_pipeline.protocol.storage.store import Store

T = TypeVar("T")

InputsNow = Callable[[Version], tuple[InputRef, ...]]
"""Gives the inputs that lead to a version now, see `Planner.inputs_now`."""


class Repairs:
    """Puts files of one store back, as far as this code and what has landed lead to them."""

    def __init__(
        self, graph: StageGraph, ledger: Ledger, computation: Computation, store: Store, inputs_now: InputsNow
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._computation = computation
        self._store = store
        self._inputs_now = inputs_now

    def mending(self, act: Callable[[], T]) -> T:
        """Return the result of `act`, which begins again after a file that it found missing or damaged was put back.

        Raises `Irreparable` for a file that cannot be, and whatever `act` raises.
        """
        repaired = set[str]()
        while True:
            try:
                return act()
            except StoreDamaged as damage:
                if damage.path in repaired:
                    raise
                repaired.add(damage.path)
                self.repair(damage.path)

    def repair(self, path: str) -> None:
        """Put the same bytes in a file's place: those of a right copy on this machine, or computed again.

        Before it comes whatever it is computed from and is damaged too.
        Raises `Irreparable`, which names the version, what rests on it, why it was not possible, and where to restore the file.
        """
        version = self._version_of(path)
        try:
            if version is not None and not self._store.restore(path):
                self._compute_again(version)
            self._store.verify(path)
        except Irreparable:
            raise
        except Exception as error:
            raise Irreparable(
                f"{self._store.original(path)} is missing or damaged, and cannot be computed again, because "
                f"{self._reason(path, version, error)}: restore it from a copy of the store. {self.concerned(path)}"
            ) from error

    def concerned(self, path: str) -> str:
        """The version that a file belongs to, and of how many partitions of each stage the results rest on it, for people."""
        version = self._version_of(path)
        if version is None:
            return "No version has it"
        by_stage = Counter(stage for stage, _ in self._ledger.resting_on(version.id))
        resting = ", ".join(f"{stage} ({count})" for stage, count in by_stage.items()) or "nothing"
        return (
            f"It belongs to {version.stage} {version.partition}, recipe {version.recipe[:12]}, on which rests {resting}"
        )

    def _version_of(self, path: str) -> Version | None:
        """The newest version that has a file, preferably one of the present code."""
        _, stage, partition, _ = path.split("/")
        present = self._graph.code_versions[stage].digest if stage in self._graph.stages else ""
        found = [version for version, _ in self._ledger.versions(stage, partition) if path in _paths(version)]
        return max(found, key=lambda version: (version.code_version == present, version.id), default=None)

    def _compute_again(self, version: Version) -> None:
        stage = self._graph.find([version.stage])[0]
        recipe = self._recipe(version)
        self.mending(lambda: self._computation.files(stage, recipe))

    def _recipe(self, version: Version) -> Recipe:
        """The recipe of a version, with the last observation of each landed file that still has the same bytes: a copy has other times."""
        read = self._inputs_now(version)
        last = self._ledger.observations.last({item.part for item in read if item.is_file})
        inputs = tuple(
            item._replace(record=last[item.part].id)
            if item.is_file and last[item.part].digest == item.content
            else item
            for item in read
        )
        return Recipe(version.stage, version.partition, version.code_version, version.configuration, inputs)

    def _reason(self, path: str, version: Version | None, error: Exception) -> str:
        if version is None:
            return "the ledger has no version of it"
        if not isinstance(error, StoreDamaged) or error.path != path:
            return format_error(error)
        stage = self._graph.stages[version.stage]
        present = self._graph.code_versions[stage.name].digest
        if present != version.code_version:
            return f"code {version.code_version[:12]} made it, and this is {present[:12]}, which makes other bytes"
        if self._graph.configuration_digests(stage) != version.configuration:
            return "other settings made it, and the present ones make other bytes"
        return "this machine makes other bytes, perhaps with another release of a library"


def _paths(version: Version) -> set[str]:
    return {file.path for part in (*version.parts, *version.side_parts) for file in part.files}
