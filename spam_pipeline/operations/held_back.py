"""What suspicions hold back until somebody decides, from the stages that their report pages show.

The rows of suspicions count all that a group played. Of these plays others may be decided already, by an incident that somebody declared
under another id, or be spam by the model's verdict: they wait for nobody.
"""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from spam_pipeline.operations.suspicions import Suspicion, published_partitions
from spam_pipeline.protocol import month_of
from spam_pipeline.protocol.operating import Engine
from spam_pipeline.reporting.withheld import withheld_by_incident


class HeldBack(NamedTuple):
    """The plays that wait for the decision of a suspicion, and the money that is withheld for them, by currency in minor units."""

    plays: int = 0
    money: Sequence[tuple[str, int]] = ()


NOTHING = HeldBack()


def held_back(engine: Engine, suspicions: Sequence[Suspicion]) -> dict[str, HeldBack]:
    """What some suspicions of one day hold back, by id, from the month in which the first of them began; ids that hold nothing are left out.

    Money is that of statements, which have settled days alone.
    """
    if not suspicions:
        return {}
    last = max(item.last_day for item in suspicions).isoformat()
    first_month = month_of(min(item.first_day for item in suspicions).isoformat())
    is_asked = pl.col("incident_id").is_in([item.suspicion_id for item in suspicions])
    days = [day for day in published_partitions(engine, "incident_plays") if f"{first_month}-01" <= day <= last]
    months = [
        month for month in published_partitions(engine, "royalty_statements") if first_month <= month <= month_of(last)
    ]
    plays: pl.LazyFrame = engine.reader.read("incident_plays", days)
    statements: pl.LazyFrame = engine.reader.read("royalty_statements", months)
    counted = dict(plays.filter(is_asked).group_by("incident_id").agg(pl.col("plays").sum()).collect().rows())
    amounts = withheld_by_incident(statements.filter(is_asked)).sort("incident_id", "currency")
    money = {str(name): found.drop("incident_id").rows() for (name,), found in amounts.group_by("incident_id")}
    return {name: HeldBack(count, money.get(name, ())) for name, count in counted.items()}
