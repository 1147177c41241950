"""The errors of reporting: what a person asked for, or pointed a delivery at, that cannot be.

PipelineError
├── UnknownTarget       a delivery target of a kind that nobody here can write
├── ForeignTarget       a delivery target that holds a database or files of somebody else
├── TargetUnreachable   a delivery target that is away, refuses, or cannot be read or written
├── DeliveryCut         what was written to a server is not all there any more
└── QueryRefused        a query that is not one SELECT, or that DuckDB cannot answer
"""

from spam_pipeline.protocol import PipelineError


class UnknownTarget(PipelineError):
    """A delivery target of a kind that nobody here can write."""


class ForeignTarget(PipelineError):
    """A delivery target that holds a database or files which this pipeline did not make, and so will not replace."""


class TargetUnreachable(PipelineError):
    """A delivery target that is away, refuses, or cannot be read or written; it is delivered to once that is over."""


class DeliveryCut(PipelineError):
    """What was written to a server is not all there any more; readers still have what they had."""


class QueryRefused(PipelineError):
    """A query that is not one SELECT, or that DuckDB cannot answer."""
