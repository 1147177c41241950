import json
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_pipeline.protocol.drift.evaluation import CHANCE, HistoricFingerprint, drift
from spam_pipeline.protocol.fingerprint import (
    NULL,
    Averaged,
    Count,
    Counted,
    Drift,
    Fingerprint,
    Histogram,
    Mean,
    Measured,
    Proportion,
    Quantiles,
    Share,
    Spreading,
)
from spam_pipeline.protocol.foundation.errors import WrongPartition
from spam_pipeline.protocol.foundation.finding import Finding, Severity, finding_from_json, finding_to_json
from spam_pipeline_tests.protocol.drift.made_up_days import MEASURES, World, day, histogram, key_of, times

ANY = pl.col("any")
CALM = World(100_000, weekend=0.0, growth=0.0)
WEEKLY = World(100_000, weekend=1.0)


def quiet(world: World, days: int, seed: int = 1) -> list[HistoricFingerprint]:
    random = np.random.default_rng(seed)
    return [HistoricFingerprint(key_of(index), day(world, index, random)) for index in range(days)]


def audited(seen: HistoricFingerprint, history: Sequence[HistoricFingerprint]) -> list[Finding]:
    return drift(MEASURES, seen.partition, seen.fingerprint, history, is_open=False)


def about(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings}


def refused(findings: Sequence[Finding]) -> set[str]:
    return {finding.about for finding in findings if finding.severity is Severity.REFUSE}


def with_changed(seen: HistoricFingerprint, **changes: Callable[[Measured], Measured]) -> HistoricFingerprint:
    changed = {name: change(seen.fingerprint[name]) for name, change in changes.items()}
    return HistoricFingerprint(seen.partition, {**seen.fingerprint, **changed})


def in_milliseconds(seconds: Measured) -> Measured:
    assert isinstance(seconds, Histogram)
    return times(0.001, seconds)


def swapped(mix: Measured) -> Measured:
    assert isinstance(mix, Spreading)
    return Spreading(dict(zip(mix.counts, reversed(mix.counts.values()), strict=True)))


def all_of_it(share: Measured) -> Measured:
    assert isinstance(share, Proportion)
    return Proportion(share.whole, share.whole)


def admixed(mix: Measured) -> Measured:
    """A tenth more rows, all of them in one small country."""
    assert isinstance(mix, Spreading)
    return Spreading({**mix.counts, "v20": mix.counts["v20"] + mix.total // 10})


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000, 1_000_000])
def test_values_in_another_unit_are_refused(rows: int) -> None:
    *history, today = quiet(World(rows), 29)
    found = audited(with_changed(today, seconds=in_milliseconds), history)
    assert {"seconds", "seconds_p50", "seconds_p95"} <= refused(found)
    median = about(found)["seconds_p50"]
    assert median.rule == "drift"
    assert median.size == pytest.approx(about(found)["seconds"].size, abs=0.02), "the share of rows that are elsewhere"
    assert median.size > 0.9
    assert "judging by 28 partitions" in median.expected


@pytest.mark.parametrize("days", [4, 7, 28])
@pytest.mark.parametrize("rows", [10_000, 100_000, 1_000_000])
def test_a_field_that_becomes_null_is_refused(rows: int, days: int) -> None:
    *history, today = quiet(World(rows), days + 1)
    found = audited(with_changed(today, without_network=all_of_it), history)
    assert refused(found) == {"without_network"}
    assert about(found)["without_network"].seen == "100 %"


def test_numbers_that_become_null_are_refused_in_their_distribution() -> None:
    *history, today = quiet(CALM, 29)
    found = audited(with_changed(today, seconds=lambda seen: Histogram({}, 0, seen.total)), history)  # type: ignore[attr-defined]
    assert refused(found) == {"seconds"}
    assert {finding.seen.split(" (")[0] for finding in found} == {"no row that has it", "1e+02 % of the rows elsewhere"}
    assert NULL in {item.value for finding in found for item in finding.moved}


def test_a_mean_that_no_row_has_any_more_is_refused() -> None:
    *history, today = quiet(CALM, 29)
    (finding,) = audited(with_changed(today, plays_per_session=lambda _: Averaged(0, 0)), history)
    assert (finding.about, finding.severity, finding.seen) == (
        "plays_per_session",
        Severity.REFUSE,
        "no row that has it",
    )


def test_a_rare_thing_that_is_not_there_today_is_no_finding() -> None:
    measures = {"rare": Mean(ANY), "usual": Share(ANY)}
    history = [
        HistoricFingerprint(key_of(index), {"rare": Averaged(9, 3), "usual": Proportion(50, 100)})
        for index in range(20)
    ]
    assert not drift(
        measures, key_of(20), {"rare": Averaged(0, 0), "usual": Proportion(50, 100)}, history, is_open=False
    )


def test_an_empty_partition_is_no_matter_of_drift() -> None:
    history = quiet(CALM, 28)
    empty: Fingerprint = {
        "countries": Spreading({}),
        "seconds": Histogram({}, 0, 0),
        "skipped": Proportion(0, 0),
        "plays_per_session": Averaged(0, 0),
    }
    assert not audited(HistoricFingerprint(key_of(28), empty), history)


@pytest.mark.parametrize("rows", [10_000, 100_000, 1_000_000])
def test_a_swapped_mix_is_refused(rows: int) -> None:
    *history, today = quiet(World(rows), 29)
    found = about(audited(with_changed(today, countries=swapped), history))
    assert found["countries"].severity is Severity.REFUSE
    assert found["countries"].expected.startswith("the mix of ")
    assert len(found["countries"].moved) == 5
    assert "effective_countries" not in found


def test_an_admixture_of_a_tenth_warns_and_names_what_moved() -> None:
    *history, today = quiet(CALM, 29)
    finding = about(audited(with_changed(today, countries=admixed), history))["countries"]
    assert finding.severity is Severity.WARN
    assert finding.moved[0].value == "v20"
    assert finding.moved[0].seen - finding.moved[0].expected == pytest.approx(0.09, abs=0.01)
    assert finding.size == pytest.approx(0.09, abs=0.03)


def test_a_saturday_like_other_saturdays_is_no_finding() -> None:
    *history, saturday = quiet(WEEKLY, 34)
    assert not audited(saturday, history[-28:])


def test_a_monday_like_a_saturday_is_found() -> None:
    *history, saturday = quiet(WEEKLY, 34)
    monday = HistoricFingerprint(key_of(35), saturday.fingerprint)
    assert {"countries", "hours"} <= about(audited(monday, history[-28:])).keys()


def test_the_first_saturday_after_some_weekdays_is_a_note_at_most() -> None:
    *history, saturday = quiet(WEEKLY, 6)
    assert {finding.severity for finding in audited(saturday, history)} <= {Severity.NOTE}


def test_the_first_saturday_in_another_unit_is_refused() -> None:
    *history, saturday = quiet(WEEKLY, 6)
    assert "seconds_p50" in refused(audited(with_changed(saturday, seconds=in_milliseconds), history))


def test_a_steady_growth_is_no_finding_and_its_end_is() -> None:
    measures = {"plays": Count(drift=Drift())}
    history = [
        HistoricFingerprint(key_of(index), {"plays": Counted(round(10_000 * 1.05**index))}) for index in range(28)
    ]
    grown, as_before = ({"plays": Counted(round(10_000 * 1.05**index))} for index in (28, 14))
    assert not drift(measures, key_of(28), grown, history, is_open=False)
    (finding,) = drift(measures, key_of(28), as_before, history, is_open=False)
    assert finding.seen == "19,799"


def test_a_count_that_drops_to_nothing_is_found_however_much_days_differ() -> None:
    measures = {"plays": Count(drift=Drift(refuse_above=0.5))}
    counts = np.random.default_rng(2).lognormal(10, 0.2, 20)
    history = [
        HistoricFingerprint(key_of(index), {"plays": Counted(round(count))}) for index, count in enumerate(counts)
    ]
    (finding,) = drift(measures, key_of(20), {"plays": Counted(0)}, history, is_open=False)
    assert finding.severity is Severity.REFUSE


def test_a_rare_share_whose_few_clusters_stay_away_for_a_day_is_no_finding() -> None:
    measures = {"logged_out": Share(ANY)}
    parts = [12, 30, 18, 25, 9, 21, 14, 28, 17, 11]
    history = [
        HistoricFingerprint(key_of(index), {"logged_out": Proportion(part, 1_000)}) for index, part in enumerate(parts)
    ]
    assert not drift(measures, key_of(10), {"logged_out": Proportion(0, 1_000)}, history, is_open=False)


def test_a_share_of_a_large_partition_that_falls_to_zero_is_found() -> None:
    measures = {"logged_out": Share(ANY)}
    parts = [2012, 2030, 1918, 2025, 2009, 2021, 2014, 1928, 1917, 2011]
    history = [
        HistoricFingerprint(key_of(index), {"logged_out": Proportion(part, 100_000)})
        for index, part in enumerate(parts)
    ]
    (finding,) = drift(measures, key_of(10), {"logged_out": Proportion(0, 100_000)}, history, is_open=False)
    assert (finding.severity, finding.seen) == (Severity.WARN, "0 %")


def test_months_have_a_trend_and_no_weekday() -> None:
    measures = {"plays": Count(drift=Drift())}
    months = [f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13)]
    history = [
        HistoricFingerprint(month, {"plays": Counted(100_000 + 5_000 * index)}) for index, month in enumerate(months)
    ]
    assert not drift(measures, "2026-01", {"plays": Counted(220_000)}, history, is_open=False)
    assert drift(measures, "2026-01", {"plays": Counted(150_000)}, history, is_open=False)


def test_one_outlier_that_was_accepted_does_not_hide_the_next() -> None:
    *history, today = quiet(CALM, 29)
    history[8] = with_changed(history[8], countries=swapped, without_network=all_of_it)
    found = audited(with_changed(today, countries=swapped, without_network=all_of_it), history)
    assert {"countries", "without_network"} <= refused(found)
    assert about(found)["countries"].expected == "the mix of 27 partitions"


def test_the_order_of_the_history_does_not_matter() -> None:
    *history, today = quiet(World(10_000), 29)
    today = with_changed(today, countries=admixed, seconds=in_milliseconds)
    assert audited(today, history) == audited(today, history[::-1]) != []


def test_what_was_published_of_the_partition_itself_does_not_count() -> None:
    *history, today = quiet(CALM, 5)
    wrong = with_changed(today, seconds=in_milliseconds)
    assert audited(wrong, [*history, wrong]) == audited(wrong, history) != []
    assert not audited(wrong, [*history[1:], wrong])


def test_three_past_partitions_are_too_few_for_any_finding() -> None:
    *history, today = quiet(World(1_000_000, weekend=0.0, growth=0.0), 5)
    wrong = with_changed(today, countries=swapped, seconds=in_milliseconds, without_network=all_of_it)
    assert {"countries", "seconds"} <= refused(audited(wrong, history))
    assert not audited(wrong, history[1:])


def test_a_measure_that_most_of_the_history_lacks_is_not_judged() -> None:
    *history, today = quiet(CALM, 29)
    older = [HistoricFingerprint(past.partition, {**past.fingerprint, "seconds": Counted(1)}) for past in history[:25]]
    found = audited(with_changed(today, seconds=in_milliseconds), [*older, *history[25:]])
    assert not found


def test_a_partition_that_can_still_grow_warns_of_nothing_and_is_refused_for_what_no_part_of_a_day_explains() -> None:
    *history, today = quiet(CALM, 29)
    elsewhere, wrong = (with_changed(today, countries=admixed), with_changed(today, seconds=in_milliseconds))
    found = drift(MEASURES, elsewhere.partition, elsewhere.fingerprint, history, is_open=True)
    assert {finding.severity for finding in found} == {Severity.NOTE}
    assert "seconds_p50" in refused(drift(MEASURES, wrong.partition, wrong.fingerprint, history, is_open=True))


def test_a_move_of_fewer_than_one_row_in_a_thousand_is_a_note() -> None:
    measures = {"broken": Share(ANY, drift=Drift(refuse_above=0.0))}
    history = [
        HistoricFingerprint(key_of(index), {"broken": Proportion(100 + index % 3, 1_000_000)}) for index in range(20)
    ]
    (finding,) = drift(measures, key_of(20), {"broken": Proportion(1_000, 1_000_000)}, history, is_open=False)
    assert finding.severity is Severity.NOTE


def test_a_measure_without_drift_is_never_judged() -> None:
    history = [HistoricFingerprint(key_of(index), {"plays": Counted(100)}) for index in range(20)]
    assert not drift({"plays": Count()}, key_of(20), {"plays": Counted(9_000_000)}, history, is_open=False)


def test_findings_come_in_the_order_of_the_measures() -> None:
    *history, today = quiet(CALM, 29)
    wrong = with_changed(today, countries=swapped, seconds=in_milliseconds, without_network=all_of_it)
    places = [list(MEASURES).index(finding.about.split("_p")[0]) for finding in audited(wrong, history)]
    assert places == sorted(places)


def test_a_finding_survives_json() -> None:
    *history, today = quiet(CALM, 29)
    found = audited(with_changed(today, countries=admixed, seconds=in_milliseconds), history)
    assert [finding_from_json(json.loads(json.dumps(finding_to_json(finding)))) for finding in found] == found


def test_a_partition_that_is_neither_day_nor_month_is_told() -> None:
    history = [HistoricFingerprint(f"part {index}", {"plays": Counted(100)}) for index in range(5)]
    with pytest.raises(WrongPartition, match="neither a day"):
        drift({"plays": Count(drift=Drift())}, "part 5", {"plays": Counted(1)}, history, is_open=False)


@settings(max_examples=100)
@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(4, 30))
def test_what_has_always_been_the_same_and_still_is_gives_no_finding(part: int, rest: int, days: int) -> None:
    measures = MEASURES | {"skipped": Share(ANY)}
    same: Fingerprint = {
        "skipped": Proportion(part, part + rest),
        "countries": Spreading({"v1": rest, "v2": part}),
        "seconds": histogram(np.array([part, rest])),
    }
    history = [HistoricFingerprint(key_of(index), same) for index in range(days)]
    assert not drift(measures, key_of(days), same, history, is_open=False)


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000, 1_000_000])
def test_fewer_than_one_quiet_day_in_a_hundred_gives_an_alarm(rows: int) -> None:
    days = [quiet(World(rows), 40, seed) for seed in range(5)]
    tried = [audited(past[index], past[max(0, index - 28) : index]) for past in days for index in range(4, len(past))]
    alarms = [found for found in tried if any(finding.severity is not Severity.NOTE for finding in found)]
    assert len(alarms) / len(tried) < 0.01
    assert CHANCE < 0.01


def test_a_median_that_moves_far_because_some_rows_moved_is_not_refused() -> None:
    def histogram(short: int, long: int) -> Histogram:
        return Histogram({100: short, 200: long}, 0, 0)

    measures = {"seconds": Quantiles(ANY, drift=Drift(refuse_above=0.5))}
    history = [
        HistoricFingerprint(key_of(index), {"seconds": histogram(4_000 + index, 6_000 - index)}) for index in range(20)
    ]
    found = about(drift(measures, key_of(20), {"seconds": histogram(6_500, 3_500)}, history, is_open=False))
    assert found["seconds_p50"].severity is Severity.WARN
    assert found["seconds_p50"].size == pytest.approx(0.25, abs=0.01)
