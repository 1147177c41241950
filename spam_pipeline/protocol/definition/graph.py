"""The graph of stages: which stage reads which, in topological order.

Built once from the stages, the sources and the names of the configuration; whatever is wrong with their connections is an
error here. It holds no data and knows no partition.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property, partial
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, TypeVar

from spam_pipeline.protocol.code_version.code_version import CodeVersion, code_version, hold_sources, rules_version
from spam_pipeline.protocol.definition.columns import described_columns
from spam_pipeline.protocol.definition.contract import ArtifactContract, Contract, audits_against_history, column_types
from spam_pipeline.protocol.definition.reads import Reads
from spam_pipeline.protocol.definition.selection import EveryStage
from spam_pipeline.protocol.definition.stage import ABOUT_ITSELF, CONTENTS_READ, Source, Stage
from spam_pipeline.protocol.foundation.digest import digest
from spam_pipeline.protocol.foundation.errors import UnknownStage, WrongDefinition
from spam_pipeline.protocol.foundation.limit import Limit
from spam_pipeline.protocol.foundation.near_names import did_you_mean
from spam_pipeline.protocol.foundation.partition import WHOLE, Grain

AnyStage = Stage[Any, Any]

Configuration = Mapping[str, Any]
"""Settings that stages may take as parameters, by name."""


Expected = Mapping[str, Mapping[str, tuple[Limit, ...]]]
"""What is expected of the versions of a stage, by stage and consumer."""

_Value = TypeVar("_Value")


class _Derived(Mapping[str, _Value]):
    """A value for each stage by name, derived on first use."""

    def __init__(self, stages: Mapping[str, AnyStage], derive: Callable[[AnyStage], _Value]) -> None:
        self._stages = stages
        self._derive = derive
        self._known: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._known:
            self._known[name] = self._derive(self._stages[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)


class StageGraph:
    """Stages in topological order, with their code versions and the configuration each one reads.

    Stages rest on the code of the packages that they are defined in, and of `own_packages`: other top-level packages that are
    deployed with them, such as what the teams of a repository share. Other code is that of declared libraries.

    Code versions and contract digests are derived from the sources on first use, and only then raise `WrongDefinition` for
    what cannot be read there: deriving all of them at once took 1.4 s of every process.
    """

    def __init__(
        self,
        stages: Iterable[AnyStage],
        sources: Iterable[Source],
        configuration: Configuration,
        own_packages: Collection[str] = (),
    ) -> None:
        self.sources: Mapping[str, Source] = MappingProxyType({source.name: source for source in sources})
        self.configuration = MappingProxyType(dict(configuration))
        by_name: dict[str, AnyStage] = {}
        for stage in stages:
            if stage.name in by_name or stage.name in self.sources:
                raise WrongDefinition(f"two things are called {stage.name}: rename one")
            by_name[stage.name] = stage
        self._check_parameters(by_name)
        self.stages: Mapping[str, AnyStage] = MappingProxyType(_in_order(by_name))
        for stage in self.stages.values():
            for upstream, reads in stage.inputs.items():
                if reads.schema_read is not None:
                    _check_schema(stage, reads, reads.schema_read, self.stages[upstream])
                if reads.expectations:
                    _check_expectations(stage, reads, self.stages[upstream])
        self._settled_by = {
            stage.name: self._settling(stage) for stage in self.stages.values() if stage.settled_after_days is not None
        }
        self._own_packages = tuple(own_packages)
        defined_in = {name.partition(".")[0] for stage in self.stages.values() for name in _modules_of(stage)}
        for package in {*defined_in, *own_packages}:
            hold_sources(package)
        self.code_versions: Mapping[str, CodeVersion] = _Derived(self.stages, self._code_version)
        self.contract_digests: Mapping[str, str] = _Derived(self.stages, self._contract_digest)
        self.audited_against_history: frozenset[str] = frozenset(
            name for name, stage in self.stages.items() if audits_against_history(stage.contract)
        )

    def upstreams(self, stage: AnyStage) -> tuple[str, ...]:
        """The stages that `stage` reads; for one that reads the whole catalogue, every stage of frames without a delivery."""
        return _upstreams(stage, self.stages)

    @cached_property
    def read_by(self) -> Mapping[str, tuple[str, ...]]:
        """The stages that read each stage by name, in order: `upstreams` the other way round."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(self.stages, ())
        for stage in self.stages.values():
            for upstream in self.upstreams(stage):
                found[upstream] += (stage.name,)
        return found

    def columns_read(self, stage: AnyStage, parameter: str, upstream: str) -> tuple[str, ...]:
        """The columns of an upstream that decide what a stage makes of it; empty where all of its content does.

        All of it does where an earlier schema is derived from it, where the stage is told the contents that it reads, and where it is delivered:
        a delivery may look up more in the inputs than the stage read.
        """
        reads, contract = stage.inputs[parameter], self.stages[upstream].contract
        needs_all = stage.delivery is not None or CONTENTS_READ in stage.parameters or reads.partitions.side_part
        if needs_all or isinstance(contract, ArtifactContract) or reads.schema_read != contract.schema_version:
            return ()
        return reads.columns

    def sources_of(self, stage: AnyStage) -> list[str]:
        """The sources that a stage reads, by the order of its parameters."""
        return [name for name in stage.parameters if name in self.sources]

    def settled_by(self, stage: AnyStage) -> tuple[str, ...]:
        """The stages by days of arrival that settle the days of a stage: those it rests on; none for one that does not wait."""
        return self._settled_by.get(stage.name, ())

    def waits_for(self, stage: AnyStage) -> tuple[str, ...]:
        """The stages that decide about the status of a stage: its upstreams, and those that settle its days."""
        return tuple(dict.fromkeys((*self.upstreams(stage), *self.settled_by(stage))))

    def upstreams_of(self, stage: AnyStage, parameter: str) -> tuple[str, ...]:
        """The stages behind one parameter; none for a source or a setting."""
        if _reads_every_stage(stage.inputs.get(parameter)):
            return self.upstreams(stage)
        return (parameter,) if parameter in self.stages else ()

    def with_upstreams(self, names: Collection[str]) -> list[AnyStage]:
        """The named stages and all their upstreams, in order. Raises `UnknownStage`."""
        self.find(names)
        wanted = set(names)
        for stage in reversed(list(self.stages.values())):
            if stage.name in wanted:
                wanted.update(self.upstreams(stage))
        return [stage for stage in self.stages.values() if stage.name in wanted]

    def levels(self, stages: Iterable[AnyStage]) -> list[list[AnyStage]]:
        """Divide stages, which come in order and with their upstreams, into levels: none waits for another one of its own level."""
        level_of: dict[str, int] = {}
        levels = defaultdict[int, list[AnyStage]](list)
        for stage in stages:
            level_of[stage.name] = max((level_of[name] + 1 for name in self.waits_for(stage)), default=0)
            levels[level_of[stage.name]].append(stage)
        return [levels[level] for level in range(len(levels))]

    def find(self, names: Collection[str]) -> list[AnyStage]:
        """The named stages. Raises `UnknownStage` for a name that is no stage, with the nearest one or all there are."""
        for name in sorted(set(names) - self.stages.keys()):
            near = did_you_mean(name, self.stages) or f"; there are {', '.join(self.stages)}"
            raise UnknownStage(f"no stage is called {name}{near}")
        return [stage for stage in self.stages.values() if stage.name in names]

    def readers(self, stage: AnyStage) -> dict[str, Reads]:
        """The consumers of a stage's columns, with what each of them reads."""
        return {
            consumer.name: consumer.inputs[stage.name]
            for consumer in self.stages.values()
            if stage.name in consumer.inputs and consumer.inputs[stage.name].partitions.side_part is None
        }

    def columns_passed_on(self, stage: AnyStage) -> dict[str, str]:
        """The columns that a stage passes on: those that an upstream it reads has under the same name, type and description.

        Each has the name of that upstream, of several the first: the others are joined by it. What else a column is computed from
        is not known here, so that one of a meaning of its own is not among them.
        """
        passed: dict[str, str] = {}
        own = {column.meaning for column in described_columns(stage.contract) if column.description}
        for upstream, reads in stage.inputs.items():
            if upstream in self.stages and reads.partitions.side_part is None:
                for column in described_columns(self.stages[upstream].contract):
                    if column.meaning in own and (not reads.columns or column.name in reads.columns):
                        passed.setdefault(column.name, upstream)
        return passed

    def expected(self) -> Expected:
        """What consumers expect of the stages of which any expects something."""
        found: dict[str, dict[str, tuple[Limit, ...]]] = defaultdict(dict)
        for consumer in self.stages.values():
            for name, reads in consumer.inputs.items():
                if reads.expectations:
                    found[name][consumer.name] = reads.expectations
        return dict(found)

    def delivered(self, stage: AnyStage) -> str | None:
        """The recipe that a stage's target holds, if it has a target that holds anything."""
        return stage.delivery.delivered(self.configuration[stage.delivery.target]) if stage.delivery else None

    def configuration_of(self, stage: AnyStage) -> dict[str, Any]:
        """The configuration entries that the stage takes as parameters."""
        return {name: self.configuration[name] for name in stage.parameters if name in self.configuration}

    def configuration_digests(self, stage: AnyStage) -> dict[str, str]:
        """The digest of each configuration entry of a stage, for its recipes: an entry may be a secret."""
        return {name: digest((name, value)) for name, value in self.configuration_of(stage).items()}

    def _settling(self, stage: AnyStage) -> tuple[str, ...]:
        """Raises `WrongDefinition` when nothing that a stage rests on arrives by day."""
        found = tuple(
            upstream.name
            for upstream in self.with_upstreams([stage.name])
            if any(
                name in self.sources and self.sources[name].partitions.grain is Grain.DAY
                for name in upstream.partitioned_by
            )
        )
        if not found:
            raise WrongDefinition(f"stage {stage.name} waits for settled days, but nothing it rests on arrives by day")
        return found

    def _code_version(self, stage: AnyStage) -> CodeVersion:
        return code_version(
            stage.function,
            libraries=stage.libraries,
            shown_by=self._shown_by(stage),
            own_packages=self._own_packages,
        )

    def _contract_digest(self, stage: AnyStage) -> str:
        return _contract_digest(stage, partial(rules_version, own_packages=self._own_packages))

    def _shown_by(self, stage: AnyStage) -> list[Callable[..., Any]]:
        """The functions that convert upstreams to the earlier schemas that a stage reads."""
        return [
            contract.earlier_schemas()[reads.schema_read]
            for upstream, reads in stage.inputs.items()
            if reads.schema_read is not None
            for contract in [self.stages[upstream].contract]
            if not isinstance(contract, ArtifactContract) and reads.schema_read != contract.schema_version
        ]

    def _check_parameters(self, stages: Mapping[str, AnyStage]) -> None:
        known = {*stages, *self.sources, *self.configuration, *ABOUT_ITSELF}
        for stage in stages.values():
            for name in stage.parameters:
                if name not in known and not _reads_every_stage(stage.inputs.get(name)):
                    raise WrongDefinition(
                        f"stage {stage.name} reads {name!r}, which is no stage, source or setting; "
                        f"there are {', '.join(sorted(known))}"
                    )


def _modules_of(stage: AnyStage) -> set[str]:
    """The modules that a stage's function and its contracts are defined in."""
    contract = stage.contract
    rules = (contract.fingerprint, contract.findings) if isinstance(contract, ArtifactContract) else (contract,)
    return {item.__module__ for item in (stage.function, *rules, *stage.side_parts.values())}


def _reads_every_stage(reads: Reads | None) -> bool:
    return reads is not None and isinstance(reads.partitions, EveryStage)


def _check_schema(stage: AnyStage, reads: Reads, schema: int, upstream: AnyStage) -> None:
    """Raise `WrongDefinition` when a stage reads a schema, or columns of it, that its upstream does not offer."""
    contract = upstream.contract
    if isinstance(contract, ArtifactContract):
        raise WrongDefinition(f"stage {stage.name} reads columns of {upstream.name}, which has none")
    offered = {contract.schema_version, *contract.earlier_schemas()}
    if schema not in offered:
        raise WrongDefinition(
            f"stage {stage.name} reads schema {schema} of {upstream.name}, which offers {sorted(offered)}: "
            f"let {upstream.name} keep it readable in earlier_schemas, or move {stage.name}"
        )
    missing = sorted(set(reads.columns) - set(_columns(contract, schema)))
    if missing:
        raise WrongDefinition(
            f"stage {stage.name} reads {', '.join(missing)} of schema {schema} of {upstream.name}, which has no such columns"
        )


def _columns(contract: type[Contract], schema: int) -> Collection[str]:
    if schema == contract.schema_version:
        return column_types(contract)
    return contract.earlier_schemas()[schema](contract.empty()).collect_schema().names()


def _check_expectations(stage: AnyStage, reads: Reads, upstream: AnyStage) -> None:
    """Raise `WrongDefinition` when a stage has an expectation of a number that its upstream does not measure."""
    if isinstance(upstream.contract, ArtifactContract):
        return
    known = upstream.contract.fingerprint()
    for limit in reads.expectations:
        if not any(name in limit.number for name in known):
            raise WrongDefinition(
                f"stage {stage.name} expects something of {limit.number!r}, which {upstream.name} does not measure; "
                f"it measures {', '.join(known)}"
            )


def _contract_digest(stage: AnyStage, digest_of: Callable[[type | Callable[..., Any]], str]) -> str:
    """The digest of the rules that versions of a stage are audited by, and of what is measured.

    It covers the stage's name, so that an audit of one stage never counts for another with the same rules.
    """
    contracts = {WHOLE: stage.contract, **stage.side_parts}
    rules = {
        part: digest_of(contract) if isinstance(contract, type) else _rules_of_artifact(contract, digest_of)
        for part, contract in contracts.items()
    }
    return digest((stage.name, rules))


def _rules_of_artifact(contract: ArtifactContract, digest_of: Callable[[type | Callable[..., Any]], str]) -> list[str]:
    functions = (contract.fingerprint, contract.findings)
    return [*(repr(limit) for limit in contract.limits), *(digest_of(function) for function in functions)]


def _upstreams(stage: AnyStage, stages: Mapping[str, AnyStage]) -> tuple[str, ...]:
    if any(_reads_every_stage(reads) for reads in stage.inputs.values()):
        return tuple(
            name
            for name, other in stages.items()
            if other.delivery is None and not isinstance(other.contract, ArtifactContract)
        )
    return tuple(name for name in stage.parameters if name in stages)


def _in_order(stages: Mapping[str, AnyStage]) -> dict[str, AnyStage]:
    sorter = TopologicalSorter({name: _upstreams(stage, stages) for name, stage in stages.items()})
    try:
        return {name: stages[name] for name in sorter.static_order()}
    except CycleError as cycle:
        raise WrongDefinition(f"stages read each other in a circle: {' -> '.join(cycle.args[1])}") from cycle
