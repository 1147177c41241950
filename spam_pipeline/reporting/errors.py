"""The errors of reporting: requests that cannot be answered, and delivery targets that cannot be used.

PipelineError
├── UnknownTarget       a delivery target of an unsupported kind
├── ForeignTarget       a delivery target that holds somebody else's database or files
├── TargetUnreachable   a delivery target that is unavailable, refuses, or cannot be read or written
├── DeliveryCut         data lost on the server during a delivery
└── QueryRefused        a query that is not one SELECT, or that DuckDB cannot answer
"""

from spam_pipeline.protocol import PipelineError


class UnknownTarget(PipelineError):
    """A delivery target of an unsupported kind."""


class ForeignTarget(PipelineError):
    """A delivery target that holds a database or files that this pipeline did not make, and so will not replace."""


class TargetUnreachable(PipelineError):
    """A delivery target that is unavailable, refuses, or cannot be read or written; it is delivered to once that is over."""


class DeliveryCut(PipelineError):
    """The server lost data during a delivery; readers still see the delivery before."""


class QueryRefused(PipelineError):
    """A query that is not one SELECT, or that DuckDB cannot answer."""
