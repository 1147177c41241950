"""Losses: a version that has less than the published one is refused, by the share that each measure tolerates."""

import polars as pl
import pytest

from spam_pipeline.protocol.drift import HistoricFingerprint, losses
from spam_pipeline.protocol.fingerprint import Count, Counted, Fingerprint, Measure, Summed, Totals
from spam_pipeline.protocol.foundation.finding import Finding, Severity

DAY, DAY_BEFORE = "2026-01-05", "2026-01-04"
MEASURES: dict[str, Measure] = {
    "plays": Count(tolerated_loss=0.1),
    "spam_plays": Count(pl.col("is_spam")),
    "money": Totals(pl.col("minor"), by=pl.col("currency"), tolerated_loss=0.2),
}


def found(seen: Fingerprint, published: Fingerprint, partition: str = DAY) -> list[Finding]:
    return list(losses(MEASURES, DAY, seen, [HistoricFingerprint(partition, published)]))


@pytest.mark.parametrize(("now", "is_refused"), [(100, False), (90, False), (89, True), (0, True), (500, False)])
def test_a_count_may_lose_the_share_that_is_tolerated(now: int, is_refused: bool) -> None:  # noqa: FBT001 - drawn
    seen = found({"plays": Counted(now)}, {"plays": Counted(100)})
    assert [item.severity for item in seen] == [Severity.REFUSE] * is_refused


def test_a_loss_says_what_is_published_what_was_seen_and_how_much_that_is() -> None:
    (loss,) = found({"plays": Counted(199)}, {"plays": Counted(25_091)})
    assert str(loss) == "plays: expected at most 10% less than the 25,091 that are published, got 199, 99.2% less"
    assert loss.size == pytest.approx(0.992, abs=0.001)


def test_sums_are_judged_value_by_value_and_a_value_that_is_gone_is_a_loss() -> None:
    before = {"money": Summed({"EUR": 1_000, "SEK": 50})}
    assert [item.about for item in found({"money": Summed({"EUR": 5_000})}, before)] == ["money_SEK"]
    assert found({"money": Summed({"EUR": 800, "SEK": 50, "USD": 1})}, before) == []


def test_what_was_negative_or_nothing_cannot_get_lost() -> None:
    assert found({"money": Summed({})}, {"money": Summed({"EUR": -5, "SEK": 0})}) == []


def test_numbers_that_may_fall_are_not_judged() -> None:
    assert found({"spam_plays": Counted(0)}, {"spam_plays": Counted(100)}) == []


def test_another_partition_and_another_kind_of_measurement_are_nothing_to_lose_against() -> None:
    assert found({"plays": Counted(1)}, {"plays": Counted(100)}, DAY_BEFORE) == []
    assert found({"plays": Counted(1)}, {"money": Summed({"EUR": 5})}) == []
