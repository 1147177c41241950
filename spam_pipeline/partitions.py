"""The grids of the pipeline: arrival days, event days, statement months, and no partitions at all.

All times are UTC. Where the grids begin is a setting (`SPAM_PIPELINE_START_DATE`); they have no end.
"""

from spam_pipeline.protocol import Grain, Partitions

arrival_days = Partitions("arrival day", Grain.DAY)
"""The day on which a file landed: the folder it lies in."""

event_days = Partitions("event day", Grain.DAY)
"""The day on which a play happened, however late it arrived."""

statement_months = Partitions("statement month", Grain.MONTH)
"""The month whose money is divided."""

unpartitioned = Partitions("unpartitioned stage", Grain.NONE)
"""One result over everything."""
