"""Stages: the record of what a stage is, and `@stage`, which turns a pure function into one.

A stage's parameters name what it reads: upstream stages, sources of landed files, `partition` (its own key), `contents_read`
(the versions of the upstream stages it is given), or entries of the pipeline's configuration. The annotation of a parameter
says with `Reads` what is read of an upstream; the return value is the data. `execution` runs stages, `planning` finds the
stale ones, and `spam_pipeline.orchestration` shows them in the orchestrator.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, get_args

from spam_pipeline.protocol.definition.contract import AnyContract, Contract
from spam_pipeline.protocol.definition.delivery import Delivery
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.retry import DELIVERIES, Retry
from spam_pipeline.protocol.foundation.errors import WrongDefinition
from spam_pipeline.protocol.foundation.partition import Grain, Partitions

P = ParamSpec("P")
R = TypeVar("R")

OWN_PARTITION = "partition"
"""The parameter that receives the key of the partition being computed."""

CONTENTS_READ = "contents_read"
"""The parameter that receives the content of each version that the other parameters are read from; see `Recipe.contents`."""

ABOUT_ITSELF = frozenset({OWN_PARTITION, CONTENTS_READ})
"""Parameters that are no inputs of their own."""


class Cadence(Enum):
    """How often something has to land in a source, from its first day to its newest; without one nothing is expected."""

    DAY = "day"
    HOUR = "hour"


HOURS = tuple(f"{hour:02d}" for hour in range(24))


@dataclass(frozen=True)
class Source:
    """Files that others land: observed, never written. One item per file, grouped by partition.

    `owner` is who answers for the files, as stages have one. `hours_of` gives the hours of its day that the file at a path delivers: all of them for one that speaks for a whole day, and
    none for one that holds no data.
    """

    name: str
    partitions: Partitions
    description: str
    cadence: Cadence | None = None
    owner: str | None = None
    hours_of: Callable[[str], Collection[str]] = lambda _path: HOURS

    def __post_init__(self) -> None:
        """Raise `WrongDefinition` for a cadence of anything but days: what a source lacks is told by day."""
        if self.cadence is not None and (self.partitions.grain is not Grain.DAY or self.partitions.names):
            raise WrongDefinition(f"source {self.name} has a cadence, but its partitions are no days: leave it out")


@dataclass(frozen=True)
class Stage(Generic[P, R]):
    """One asset: a pure function from upstream data to new data, owned by one context.

    `inputs` has the declared input of each parameter. A partition is wanted when an input in `partitioned_by` has data
    for it. `file_by_file` stages are called once per landed file and yield `(part, frame)` batches; the result is kept
    as a shard and reused as long as the file and the code stay the same. With `small_files_together`, small neighbours are one
    shard, see `small_files`. Parts named in `side_parts` have contracts of their own and are read only by consumers that ask for
    them; `private_parts` never become part of a version. `deadline` is how long people wait for a settled partition, see
    `planning.deadlines`.
    """

    function: Callable[P, R]
    name: str
    context: str
    partitions: Partitions
    contract: AnyContract
    owner: str
    inputs: Mapping[str, Reads]
    partitioned_by: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    side_parts: Mapping[str, type[Contract]] = field(default_factory=dict)
    private_parts: frozenset[str] = frozenset()
    file_by_file: bool = False
    small_files_together: bool = False
    settled_after_days: int | None = None
    delivery: Delivery | None = None
    retry: Retry = field(default_factory=Retry)
    deadline: timedelta | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, as a test or a notebook would."""
        return self.function(*args, **kwargs)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the function's parameters, in their order."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.function) or ""


def stage(  # noqa: PLR0913 - each says one thing about a stage, and most stages need few
    *,
    partitions: Partitions,
    contract: AnyContract,
    owner: str,
    libraries: Iterable[str] = (),
    side_parts: Mapping[str, type[Contract]] | None = None,
    private_parts: Iterable[str] = (),
    file_by_file: bool = False,
    small_files_together: bool = False,
    settled_after_days: int | None = None,
    partitioned_by: Iterable[str] = (),
    delivery: Delivery | None = None,
    retry: Retry | None = None,
    deadline: timedelta | None = None,
    context: str | None = None,
) -> Callable[[Callable[P, R]], Stage[P, R]]:
    """Turn a pure function into a stage of the context whose package it is defined in.

    The annotation of a parameter declares its input, such as `plays: Annotated[pl.LazyFrame, Reads(TrailingDays(7))]`; without
    one it reads the same partition. The first parameter decides which partitions are wanted, or those in `partitioned_by`.
    `libraries` are the distributions whose release can change the result. `settled_after_days` waits until that many
    days of arrival after the day are there, complete and accepted. `delivery` carries published versions to a store outside. `retry`
    says how often a failed recipe is tried again unasked. `deadline` says how long after its day or month has settled a partition may
    take: after that it is late, and somebody is notified.

    Raises `WrongDefinition` when a declaration names no parameter or the function reads nothing.
    """

    def define(function: Callable[P, R]) -> Stage[P, R]:
        inputs = _inputs(function)
        unknown = sorted(set(partitioned_by) - inputs.keys())
        if unknown or not inputs:
            problem = f"declarations for {', '.join(unknown)}" if unknown else "nothing to read"
            taken = ", ".join(inspect.signature(function).parameters)
            raise WrongDefinition(f"stage {function.__name__} has {problem}: it takes ({taken})")
        return Stage(
            function=function,
            name=function.__name__,
            context=context or function.__module__.rpartition(".")[0].rpartition(".")[2] or function.__module__,
            partitions=partitions,
            contract=contract,
            owner=owner,
            inputs=inputs,
            partitioned_by=tuple(partitioned_by) or tuple(inputs)[:1],
            libraries=tuple(sorted(libraries)),
            side_parts=side_parts or {},
            private_parts=frozenset(private_parts),
            file_by_file=file_by_file,
            small_files_together=small_files_together,
            settled_after_days=settled_after_days,
            delivery=delivery,
            retry=retry or (DELIVERIES if delivery else Retry()),
            deadline=deadline,
        )

    return define


def _inputs(function: Callable[..., Any]) -> dict[str, Reads]:
    """The declared input of each parameter, from its annotation."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, AttributeError) as missing:
        raise WrongDefinition(
            f"stage {function.__name__} is annotated with a name that does not exist when it runs ({missing}): "
            "import it outside of TYPE_CHECKING"
        ) from missing
    declared = {name: list(_declared(parameter.annotation)) for name, parameter in signature.parameters.items()}
    for name, found in declared.items():
        if found and name in ABOUT_ITSELF:
            raise WrongDefinition(
                f"stage {function.__name__} says what {name} reads, which reads nothing: leave it out"
            )
        if len(found) > 1:
            raise WrongDefinition(f"stage {function.__name__} says {len(found)} times what {name} reads: say it once")
    return {name: (found or [Reads()])[0] for name, found in declared.items() if name not in ABOUT_ITSELF}


def _declared(annotation: Any) -> Iterator[Reads]:
    """Every `Reads` in an annotation, wherever it stands: one that were passed over would be read as its opposite."""
    if isinstance(annotation, Reads):
        yield annotation
    for part in get_args(annotation):
        yield from _declared(part)
