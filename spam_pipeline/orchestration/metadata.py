"""What a version says of itself in the Dagster UI: metadata and tags, from the ledger's records alone.

Numbers of the fingerprint are separate entries, so that the UI plots each of them over the partitions.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from spam_pipeline.protocol.digest import digest
from spam_pipeline.protocol.records import Audit, InputRead, Version

CONTRACT_CHECK = "contract"
"""Name of the check that shows a version's audit."""

_INPUTS_SHOWN = 20


def version_metadata(version: Version) -> dict[str, Any]:
    """Recipe, content, code version, inputs, size, columns and fingerprint of a version."""
    described: dict[str, Any] = {
        "recipe": version.recipe,
        "content": version.content,
        "code_version": version.code_version,
        "inputs": _inputs_table(version.inputs),
        "inputs_digest": digest([item.content for item in version.inputs]),
        "rows_read": version.rows_read,
        "dagster/row_count": version.rows,
        "size_bytes": version.bytes,
        "computed_in_seconds": version.seconds,
        "computed_at": dg.MetadataValue.timestamp(version.computed_at),
        **{f"fingerprint/{name}": value for name, value in sorted(version.fingerprint.items())},
    }
    if version.columns:
        described["dagster/column_schema"] = column_schema(version.columns)
    return described


def version_tags(version: Version) -> dict[str, str]:
    """The tags by which Dagster itself compares versions."""
    return {"dagster/data_version": version.content, "dagster/code_version": version.code_version}


def audit_metadata(audit: Audit, version: Version) -> dict[str, dg.MetadataValue[Any]]:
    """The findings of an audit, one sentence a line, and the fingerprint it was about.

    The UI plots an asset's numbers over its latest partitions only, and a check's over every evaluation.
    """
    findings = "\n".join(f"- {finding}" for finding in audit.findings)
    numbers = {name: dg.MetadataValue.float(float(value)) for name, value in sorted(version.fingerprint.items())}
    return {"findings": dg.MetadataValue.md(findings or "none"), **numbers}


def column_schema(columns: Mapping[str, str]) -> dg.TableSchema:
    """Column names and types as the UI shows them."""
    return dg.TableSchema([dg.TableColumn(name, dtype) for name, dtype in columns.items()])


def _inputs_table(inputs: tuple[InputRead, ...]) -> dg.TableMetadataValue:
    """The first inputs, one a row; `inputs_digest` stands for all of them."""
    rows = [
        dg.TableRecord(
            {
                "input": item.parameter,
                "from": item.upstream,
                "partition": item.partition,
                "part": item.part,
                "content": item.content,
            }
        )
        for item in inputs[:_INPUTS_SHOWN]
    ]
    columns = [dg.TableColumn(name, "string") for name in ("input", "from", "partition", "part", "content")]
    return dg.MetadataValue.table(rows, dg.TableSchema(columns))
