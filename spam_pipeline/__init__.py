"""A music platform's plays, judged for spam, turned into royalties and reports.

`Pipeline` is the way in for notebooks and scripts; the command line is `spam-pipeline`, the Dagster code location is
`spam_pipeline.definitions`. `Pipeline` is imported when it is first used, so that the protocol can be imported alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spam_pipeline.operations.pipeline import Pipeline

__all__ = ["Pipeline"]


def __getattr__(name: str) -> Any:
    if name == "Pipeline":
        from spam_pipeline.operations.pipeline import Pipeline  # noqa: PLC0415 - see the module's docstring

        return Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
