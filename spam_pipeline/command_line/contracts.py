"""Printing contracts, or writing them to files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spam_pipeline.command_line.terminal import out
from spam_pipeline.operations.columns_page import columns_page
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.protocol import PipelineError


class ExtraMissing(PipelineError):
    """A library of an extra is not installed."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what an extra brings. Raises `ExtraMissing`, which says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"{error.name} is not installed: install the extra, such as by pip install 'spam-pipeline[{name}]'"
        ) from error


def print_columns() -> None:
    """Print the page of all columns as Markdown."""
    print(columns_page(Pipeline().graph.stages.values()), end="")  # noqa: T201 - a page goes out as it is


def export_contracts(names: Sequence[str] | None, folder: Path | None) -> None:
    """Print contracts as YAML documents, or write a file for each into a folder."""
    with extra("catalogues"):
        from spam_pipeline.operations.data_contracts import data_contracts  # noqa: PLC0415 - it may not be installed
    graph = Pipeline().graph
    documents = {
        name: document.to_yaml()
        for name, document in data_contracts(graph.find(names) if names else graph.stages.values())
    }
    if folder is None:
        print("---\n".join(documents.values()), end="")  # noqa: T201 - YAML goes out as it is
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        (folder / f"{name}.odcs.yaml").write_text(text, encoding="utf-8")
    out.print(f"{len(documents)} contracts in {folder}")
