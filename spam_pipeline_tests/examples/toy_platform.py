"""A small platform in the place of ours: the toy pipeline's numbers as `daily_plays`, of which a huge count is refused."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import dagster as dg
import polars as pl

from spam_pipeline.orchestration.events import EventReporter
from spam_pipeline.orchestration.sensors import publications_sensor
from spam_pipeline.partitions import event_days
from spam_pipeline.protocol import Limit, PartForPartition, Reads, stage
from spam_pipeline.protocol.fingerprint import Measure, Total
from spam_pipeline.protocol.operating import PRODUCTION, DecisionKind, Engine, converge, decide
from spam_pipeline_tests.orchestration.toy_location import materialize, told
from spam_pipeline_tests.protocol.toy_pipeline import Numbers, land, received_numbers, toy_engine

MOST_PLAYS = 1_000_000


class CountedPlays(Numbers):
    @classmethod
    def fingerprint(cls) -> dict[str, Measure]:
        return {"plays_without_spam": Total(pl.col("number"))}

    @classmethod
    def limits(cls) -> tuple[Limit, ...]:
        return (Limit("plays_without_spam", at_most=MOST_PLAYS),)


@stage(partitions=event_days, contract=CountedPlays, owner="team:toys", libraries=["polars"])
def daily_plays(received_numbers: Annotated[pl.LazyFrame, Reads(PartForPartition())]) -> pl.LazyFrame:
    """The day's counts."""
    return received_numbers.unique().sort("number")


@dataclass(frozen=True)
class Platform:
    """The platform's engine, and the instance that both teams see."""

    home: Path
    instance: dg.DagsterInstance
    environment: str = PRODUCTION

    @property
    def engine(self) -> Engine:
        return toy_engine(self.home, environment=self.environment, stages=(received_numbers, daily_plays))

    def receive(self, name: str, *lines: str) -> None:
        """Land counts as `<day> <plays>`, converge, and show the instance what that published and what it refused."""
        land(self.home, "2026-01-09", name, *lines)
        engine = self.engine
        engine.observe()
        converge(engine)
        self.report(engine)

    def accept(self, day: str) -> None:
        engine = self.engine
        version, _ = engine.ledger.versions("daily_plays", day)[-1]
        decide(engine, version.recipe, DecisionKind.ACCEPT, "anna", "a release")
        self.report(engine)

    def branch(self) -> "Platform":
        """The same platform as somebody's own environment shows it."""
        return replace(self, environment="ada")

    def materialize(self, day: str) -> None:
        """Run the stage for a day, as somebody does at the UI."""
        assert materialize(self.engine, self.instance, "daily_plays", day).success

    def told(self, day: str) -> list[dict[str, object]]:
        """What the instance was told of a day."""
        return told(self.instance, "daily_plays", day)

    def report_as_before(self) -> None:
        """Report as releases before 0.7.0 did, which let the instance hear of every environment."""
        engine = self.engine
        with EventReporter(self.instance, engine.ledger, self.environment, engine.graph.expected()) as reporter:
            reporter.report()
        engine.ledger.close()

    def report(self, engine: Engine) -> None:
        """A tick of our own sensor."""
        publications_sensor(lambda: engine)(dg.build_sensor_context(instance=self.instance))
        engine.ledger.close()
