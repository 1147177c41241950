"""Metadata of assets themselves: what their columns mean and come from, where their data and their code are.

What a version says of itself is in `metadata`.
"""

import inspect
from typing import Any

import dagster as dg

from spam_pipeline.orchestration.asset_keys import AssetKeys
from spam_pipeline.orchestration.preview_apis import preview_apis
from spam_pipeline.protocol import NOT_NULL, ArtifactContract, DescribedColumn, described_columns
from spam_pipeline.protocol.operating import AnyStage, StageGraph
from spam_pipeline.shown_urls import bare_uri


def stage_metadata(stage: AnyStage, graph: StageGraph, keys: AssetKeys) -> dict[str, Any]:
    """Columns and where they come from, the relation of the warehouse, the target of deliveries, and the code of a stage."""
    target = {"dagster/uri": bare_uri(graph.configuration[stage.delivery.target])} if stage.delivery else {}
    described = {**target, "dagster/code_references": _code_references(stage)}
    if isinstance(stage.contract, ArtifactContract):
        return {"format": stage.contract.suffix, **described}
    relation = {} if stage.delivery else {"dagster/table_name": f"{stage.context}.{stage.name}"}
    return {
        "contract": stage.contract.__name__,
        "dagster/column_schema": dg.TableSchema([_column(column) for column in described_columns(stage.contract)]),
        "dagster/column_lineage": column_lineage(stage, graph, keys),
        **relation,
        **described,
    }


def column_lineage(stage: AnyStage, graph: StageGraph, keys: AssetKeys) -> dg.TableColumnLineage:
    """The columns that a stage passes on as they are, each with the upstream that has it."""
    passed = graph.columns_passed_on(stage)
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(keys.key(upstream), name)] for name, upstream in passed.items()}
    )


def _column(column: DescribedColumn) -> dg.TableColumn:
    others = [item for item in column.constraints if item != NOT_NULL]
    constraints = dg.TableColumnConstraints(nullable=column.is_nullable, other=others)
    return dg.TableColumn(column.name, str(column.dtype), column.sentence or None, constraints)


def _code_references(stage: AnyStage) -> Any:
    """The function of a stage and the module of its contract; a file on this machine, until a deployment links it to its repository."""
    code = stage.function.__code__
    contract = inspect.getsourcefile(stage.contract if isinstance(stage.contract, type) else type(stage.contract))
    with preview_apis():
        sources: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno, label=stage.name),
        ]
        if contract and isinstance(stage.contract, type):
            label = f"contract {stage.contract.__name__}"
            sources.append(dg.LocalFileCodeReference(file_path=contract, label=label))
        return dg.CodeReferencesMetadataValue(code_references=sources)
