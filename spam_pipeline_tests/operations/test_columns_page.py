"""The page of all columns is the one that the contracts give today."""

from pathlib import Path

from spam_pipeline.operations.columns_page import columns_page
from spam_pipeline.operations.pipeline import Pipeline
from spam_pipeline.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "columns.md"


def test_the_page_is_current(tmp_path: Path) -> None:
    graph = Pipeline(Settings(home=tmp_path)).graph
    assert PAGE.read_text(encoding="utf-8") == columns_page(graph.stages.values()), (
        "columns have changed: run `spam-pipeline contracts --markdown > docs/columns.md`"
    )
