"""A music platform's plays, classified as spam or legitimate, turned into royalties and reports.

`Pipeline` is the way in for notebooks and scripts; the command line is `spam-pipeline`, the Dagster code location is
`spam_pipeline.definitions`. Names are resolved when they are first used, so that the protocol and the command line's help load nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spam_pipeline.operations.pipeline import Pipeline

    __version__: str

__all__ = ["Pipeline", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Pipeline":
        from spam_pipeline.operations.pipeline import Pipeline

        return Pipeline
    if name == "__version__":
        from importlib.metadata import version

        return version("spam-pipeline")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
