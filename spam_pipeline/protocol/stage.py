"""Stages: what a stage is, and `@stage`, which turns a pure function into one.

A stage's parameters name what it reads: upstream stages, sources of landed files, `partition` (its own key), `contents_read`
(which versions of the upstream stages it is given), or entries of the pipeline's configuration. Its return value is the
data. How stages are run is in `runner`, when they are stale in `staleness`; the orchestrator's view of a stage is in
`spam_pipeline.orchestration`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

from spam_pipeline.protocol.contract import AnyContract, Contract, Reads
from spam_pipeline.protocol.delivery import Delivery
from spam_pipeline.protocol.errors import WrongDefinition
from spam_pipeline.protocol.limit import Limit
from spam_pipeline.protocol.partition import Partitions
from spam_pipeline.protocol.retry import DELIVERIES, Retry
from spam_pipeline.protocol.selection import SamePartition, Selection

P = ParamSpec("P")
R = TypeVar("R")

OWN_PARTITION = "partition"
"""The parameter that receives the key of the partition being computed."""

CONTENTS_READ = "contents_read"
"""The parameter that receives the content of each version that the other parameters are read from; see `Recipe.contents`."""

ABOUT_ITSELF = frozenset({OWN_PARTITION, CONTENTS_READ})
"""The parameters that name nothing a stage rests on besides its other parameters."""


@dataclass(frozen=True)
class Source:
    """Files that others land: observed, never written. One item per file, grouped by partition."""

    name: str
    partitions: Partitions
    description: str


@dataclass(frozen=True)
class Stage(Generic[P, R]):
    """One asset: a pure function from upstream data to new data, owned by one context.

    `file_by_file` stages are called once per landed file and yield `(part, frame)` batches; what a file gave is kept as a
    shard and reused as long as the file and the code stay the same. Parts named in `side_parts` have contracts of their own
    and are read only by consumers that ask for them; `private_parts` never become part of a version.
    """

    function: Callable[P, R]
    name: str
    context: str
    partitions: Partitions
    contract: AnyContract
    owner: str
    selections: Mapping[str, Selection]
    reads: Mapping[str, Reads] = field(default_factory=dict)
    expectations: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    side_parts: Mapping[str, type[Contract]] = field(default_factory=dict)
    private_parts: frozenset[str] = frozenset()
    file_by_file: bool = False
    settled_after_days: int | None = None
    driven_by: tuple[str, ...] = ()
    never_retracted: bool = False
    delivery: Delivery | None = None
    retry: Retry = field(default_factory=Retry)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, as a test or a notebook would."""
        return self.function(*args, **kwargs)

    @property
    def drivers(self) -> tuple[str, ...]:
        """The parameters that decide which partitions are wanted: those in `driven_by`, or the first one."""
        return self.driven_by or tuple(self.selections)[:1]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what the function reads, in the order in which it takes them."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def description(self) -> str:
        """What the function's docstring says."""
        return inspect.getdoc(self.function) or ""


def stage(  # noqa: PLR0913 - each says one thing about a stage, and most stages need few
    *,
    partitions: Partitions,
    contract: AnyContract,
    owner: str,
    selections: Mapping[str, Selection] | None = None,
    reads: Mapping[str, Reads] | None = None,
    expectations: Mapping[str, tuple[Limit, ...]] | None = None,
    libraries: Iterable[str] = (),
    side_parts: Mapping[str, type[Contract]] | None = None,
    private_parts: Iterable[str] = (),
    file_by_file: bool = False,
    settled_after_days: int | None = None,
    driven_by: Iterable[str] = (),
    never_retracted: bool = False,
    delivery: Delivery | None = None,
    retry: Retry | None = None,
    context: str | None = None,
) -> Callable[[Callable[P, R]], Stage[P, R]]:
    """Turn a pure function into a stage of the context whose package it is defined in.

    `selections` says for a parameter which partitions it reads where that is not simply the same one; the first parameter
    drives, or those in `driven_by`: a partition is wanted when one of them selects something there. `reads` says which
    columns of which schema a parameter reads of its upstream, and `expectations` what its fingerprint has to look like:
    while an upstream version does not meet them, this stage alone is held and keeps what it had. `libraries` are the
    distributions whose release can change the result. `settled_after_days` waits until the landing zone has moved that far
    past the day. What is `never_retracted` stays published though the files that it came from are gone, and is held until
    somebody restores them. `delivery` carries what was published to a store outside. `retry` says how often a failed recipe
    is tried again unasked.

    Raises `WrongDefinition` when a declaration names no parameter or the function reads nothing.
    """

    def define(function: Callable[P, R]) -> Stage[P, R]:
        parameters = tuple(inspect.signature(function).parameters)
        declared = {**(selections or {}), **(reads or {}), **(expectations or {}), **dict.fromkeys(driven_by)}
        unknown = sorted(declared.keys() - set(parameters))
        if unknown or not parameters:
            problem = f"declarations for {', '.join(unknown)}" if unknown else "no parameters"
            raise WrongDefinition(f"stage {function.__name__} has {problem}: it takes ({', '.join(parameters)})")
        chosen = {
            name: (selections or {}).get(name, SamePartition()) for name in parameters if name not in ABOUT_ITSELF
        }
        return Stage(
            function=function,
            name=function.__name__,
            context=context or function.__module__.rpartition(".")[0].rpartition(".")[2] or function.__module__,
            partitions=partitions,
            contract=contract,
            owner=owner,
            selections=chosen,
            reads=reads or {},
            expectations=expectations or {},
            libraries=tuple(sorted(libraries)),
            side_parts=side_parts or {},
            private_parts=frozenset(private_parts),
            file_by_file=file_by_file,
            settled_after_days=settled_after_days,
            driven_by=tuple(driven_by),
            never_retracted=never_retracted,
            delivery=delivery,
            retry=retry or (DELIVERIES if delivery else Retry()),
        )

    return define
