"""The page of all columns, `docs/columns.md`: what each means, its unit, and what it is checked for."""

from collections.abc import Iterable, Iterator

from spam_pipeline.protocol import ArtifactContract, Contract, DescribedColumn, described_columns
from spam_pipeline.protocol.operating import AnyStage

_HEAD = """# Columns

Every column of every contract: `spam-pipeline contracts --markdown` prints this page. Dagster shows the same beside each asset, and the
warehouse as comments. [Signals](signals.md) explains signals; [the glossary](protocol.md) the words.
"""


def columns_page(stages: Iterable[AnyStage]) -> str:
    """Return the page as Markdown, by context and contract."""
    contexts: dict[str, dict[type[Contract], list[str]]] = {}
    for stage in stages:
        for part, contract in (("", stage.contract), *stage.side_parts.items()):
            if not isinstance(contract, ArtifactContract):
                name = f"`{stage.name}`, part `{part}`" if part else f"`{stage.name}`"
                contexts.setdefault(stage.context, {}).setdefault(contract, []).append(name)
    return "\n".join((_HEAD, *(line for context, found in contexts.items() for line in _context(context, found))))


def _context(context: str, contracts: dict[type[Contract], list[str]]) -> Iterator[str]:
    yield f"## {context.replace('_', ' ').capitalize()}\n"
    for contract, names in contracts.items():
        yield f"### {contract.__name__}\n"
        yield f"Of {'; '.join(names)}.\n"
        yield "| Column | Type | Meaning | Unit | Checked |\n|---|---|---|---|---|"
        yield from map(_row, described_columns(contract))
        yield ""


def _row(column: DescribedColumn) -> str:
    cells = (f"`{column.name}`", _type(column), column.description, column.unit, ", ".join(column.constraints))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(column: DescribedColumn) -> str:
    """The name of a type; what is inside of it is in the description."""
    return str(column.dtype.base_type())
